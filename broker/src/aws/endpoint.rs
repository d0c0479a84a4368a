//! The URL of an AWS service in a region. Pure.
//!
//! Input: a service, a region, and whether FIPS and dual-stack endpoints are wanted.
//! Output: the URL, by the rules of AWS's SDKs. A test compares it with botocore's rules in each region.

use http::Uri;

/// A service that the function calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Systems Manager, for Parameter Store.
    Ssm,
    /// Key Management Service.
    Kms,
}

impl Service {
    /// The name in a signature, which is also the first label of the host name.
    pub const fn signing_name(self) -> &'static str {
        match self {
            Self::Ssm => "ssm",
            Self::Kms => "kms",
        }
    }
}

/// A service in a region.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The service.
    pub service: Service,
    /// The region that requests are signed for.
    pub region: String,
    /// Where requests go.
    pub url: Uri,
}

/// A group of regions that share DNS suffixes.
pub struct Partition {
    /// The prefix of the names of its regions.
    regions: &'static str,
    /// The DNS suffix of its hosts, such as `amazonaws.com`.
    pub suffix: &'static str,
    dual_stack_suffix: &'static str,
}

/// The commercial regions, GovCloud, and every region that this version does not know.
const AWS: Partition = partition("", "amazonaws.com", "api.aws");

const OTHERS: [Partition; 6] = [
    partition("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    partition("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    partition("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    partition("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    partition("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    partition("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
];

const fn partition(
    regions: &'static str,
    suffix: &'static str,
    dual_stack_suffix: &'static str,
) -> Partition {
    Partition {
        regions,
        suffix,
        dual_stack_suffix,
    }
}

impl Partition {
    /// The partition of a region.
    pub fn of(region: &str) -> &'static Self {
        OTHERS
            .iter()
            .find(|partition| region.starts_with(partition.regions))
            .unwrap_or(&AWS)
    }

    /// The URL of a service that has an endpoint in each of the partition's regions.
    pub fn url(&self, service: &str, region: &str, use_fips: bool, use_dual_stack: bool) -> String {
        let fips = if use_fips { "-fips" } else { "" };
        let suffix = if use_dual_stack {
            self.dual_stack_suffix
        } else {
            self.suffix
        };
        format!("https://{service}{fips}.{region}.{suffix}")
    }
}

/// The URL of `service` in `region`. `None` if the region cannot be part of a host name, which [`crate::config`] rejects.
pub fn regional_url(
    service: Service,
    region: &str,
    use_fips: bool,
    use_dual_stack: bool,
) -> Option<Uri> {
    // In GovCloud, SSM's usual endpoint is its FIPS endpoint.
    let usual_is_fips = service == Service::Ssm && region.starts_with("us-gov-") && !use_dual_stack;
    let use_fips = use_fips && !usual_is_fips;
    Partition::of(region)
        .url(service.signing_name(), region, use_fips, use_dual_stack)
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AWS's hosts in all regions and one unknown region of two partitions, by botocore's rules.
    const HOSTS: &str = include_str!("endpoints.txt");

    #[test]
    fn url_is_the_sdks_in_every_region() {
        let mut compared = 0;
        for line in HOSTS.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<_> = line.split(' ').collect();
            let [service, region, fips, dual_stack, host] = words[..] else {
                unreachable!("not five words: {line}");
            };
            let service = match service {
                "ssm" => Service::Ssm,
                "kms" => Service::Kms,
                other => unreachable!("an unknown service: {other}"),
            };
            let url = regional_url(service, region, fips == "1", dual_stack == "1");
            let expected = (host != "-").then(|| format!("https://{host}").parse().unwrap());
            assert_eq!(url, expected, "{line}");
            compared += 1;
        }
        assert!(compared > 300, "only {compared} hosts compared");
    }
}
