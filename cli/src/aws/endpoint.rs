//! Where an AWS service is: its URL and the region to sign for. Pure.
//!
//! The rules are those of the AWS SDKs' endpoint rule sets (`partitions.json` in botocore).

/// A service that the client calls by a signed request of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Lambda.
    Lambda,
}

impl Service {
    /// The name in host names and signatures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lambda => "lambda",
        }
    }

    /// The SDK's ID, from which `AWS_ENDPOINT_URL_...` and the profile's `services` section derive.
    pub fn sdk_id(self) -> &'static str {
        match self {
            Self::Lambda => "Lambda",
        }
    }
}

/// A group of regions with DNS names of their own.
struct Partition {
    /// How its regions' names begin.
    regions: &'static str,
    suffix: &'static str,
    dual_stack_suffix: &'static str,
}

/// The commercial regions, GovCloud, and every region that is not known yet.
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

/// The endpoint of a service in a region.
pub fn regional(service: Service, region: &str, use_fips: bool, use_dual_stack: bool) -> String {
    let partition = OTHERS
        .iter()
        .find(|partition| region.starts_with(partition.regions))
        .unwrap_or(&AWS);
    let suffix = if use_dual_stack {
        partition.dual_stack_suffix
    } else {
        partition.suffix
    };
    let fips = if use_fips { "-fips" } else { "" };
    format!("https://{}{fips}.{region}.{suffix}", service.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    // From the endpoint tests of botocore's `lambda` rule set.
    #[test]
    fn lambda_has_its_documented_endpoints() {
        for (region, fips, dual_stack, url) in [
            (
                "us-east-1",
                false,
                false,
                "https://lambda.us-east-1.amazonaws.com",
            ),
            (
                "us-east-1",
                true,
                false,
                "https://lambda-fips.us-east-1.amazonaws.com",
            ),
            ("us-east-1", false, true, "https://lambda.us-east-1.api.aws"),
            (
                "us-east-1",
                true,
                true,
                "https://lambda-fips.us-east-1.api.aws",
            ),
            (
                "cn-north-1",
                false,
                false,
                "https://lambda.cn-north-1.amazonaws.com.cn",
            ),
            (
                "us-gov-west-1",
                true,
                false,
                "https://lambda-fips.us-gov-west-1.amazonaws.com",
            ),
            (
                "us-iso-east-1",
                false,
                false,
                "https://lambda.us-iso-east-1.c2s.ic.gov",
            ),
            (
                "us-isob-east-1",
                false,
                false,
                "https://lambda.us-isob-east-1.sc2s.sgov.gov",
            ),
        ] {
            assert_eq!(regional(Service::Lambda, region, fips, dual_stack), url);
        }
    }
}
