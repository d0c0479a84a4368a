//! The URL of an AWS service in a region. Pure.
//!
//! Input: a service, a region, and whether FIPS and dual-stack endpoints are wanted.
//! Output: the URL, by the rules of AWS's SDKs. A test compares it with the SDK's own for each partition.

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
struct Partition {
    /// The prefix of the names of its regions.
    regions: &'static str,
    suffix: &'static str,
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

/// The URL of `service` in `region`. `None` if the region cannot be part of a host name, which [`crate::config`] rejects.
pub fn regional_url(
    service: Service,
    region: &str,
    use_fips: bool,
    use_dual_stack: bool,
) -> Option<Uri> {
    let partition = OTHERS
        .iter()
        .find(|partition| region.starts_with(partition.regions))
        .unwrap_or(&AWS);
    let name = service.signing_name();
    // In GovCloud, SSM's usual endpoint is its FIPS endpoint.
    let usual_is_fips = service == Service::Ssm && region.starts_with("us-gov-") && !use_dual_stack;
    let fips = if use_fips && !usual_is_fips {
        "-fips"
    } else {
        ""
    };
    let suffix = if use_dual_stack {
        partition.dual_stack_suffix
    } else {
        partition.suffix
    };
    format!("https://{name}{fips}.{region}.{suffix}")
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// The URL that the SDK of a service resolves.
    macro_rules! sdk_url {
        ($sdk:ident, $region:expr, $use_fips:expr, $use_dual_stack:expr) => {{
            use $sdk::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
            let params = Params::builder()
                .region($region)
                .use_fips($use_fips)
                .use_dual_stack($use_dual_stack)
                .build()
                .unwrap();
            let endpoint = DefaultResolver::new()
                .resolve_endpoint(&params)
                .now_or_never()
                .unwrap();
            endpoint.unwrap().url().parse::<Uri>().unwrap()
        }};
    }

    #[test]
    fn url_is_the_sdks_in_every_partition() {
        // At least one region of each partition; the last is in none.
        let regions = [
            "us-east-1",
            "eu-west-1",
            "ap-southeast-7",
            "mx-central-1",
            "il-central-1",
            "us-gov-east-1",
            "us-gov-west-1",
            "cn-north-1",
            "cn-northwest-1",
            "eusc-de-east-1",
            "us-iso-east-1",
            "us-iso-west-1",
            "us-isob-east-1",
            "us-isob-west-1",
            "eu-isoe-west-1",
            "us-isof-east-1",
            "us-isof-south-1",
            "xx-new-1",
        ];
        for region in regions {
            for (use_fips, use_dual_stack) in
                [(false, false), (true, false), (false, true), (true, true)]
            {
                for (service, expected) in [
                    (
                        Service::Ssm,
                        sdk_url!(aws_sdk_ssm, region, use_fips, use_dual_stack),
                    ),
                    (
                        Service::Kms,
                        sdk_url!(aws_sdk_kms, region, use_fips, use_dual_stack),
                    ),
                ] {
                    assert_eq!(
                        regional_url(service, region, use_fips, use_dual_stack),
                        Some(expected),
                        "{service:?} in {region}, FIPS {use_fips}, dual-stack {use_dual_stack}"
                    );
                }
            }
        }
    }
}
