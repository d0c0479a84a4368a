//! Where an AWS service is: its URL and the region to sign for. Pure.
//!
//! The rules are those of the AWS SDKs' endpoint rule sets (`partitions.json` in botocore).

/// A service that the client calls by a signed request of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Lambda.
    Lambda,
    /// Key Management Service.
    Kms,
    /// Systems Manager, for Parameter Store.
    Ssm,
    /// Identity and Access Management: one endpoint for all regions of a partition.
    Iam,
}

impl Service {
    /// The name in host names and signatures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lambda => "lambda",
            Self::Kms => "kms",
            Self::Ssm => "ssm",
            Self::Iam => "iam",
        }
    }

    /// The SDK's ID, from which `AWS_ENDPOINT_URL_...` and the profile's `services` section derive.
    pub fn sdk_id(self) -> &'static str {
        match self {
            Self::Lambda => "Lambda",
            Self::Kms => "KMS",
            Self::Ssm => "SSM",
            Self::Iam => "IAM",
        }
    }

    /// The region to sign for, if the caller works in `region`.
    pub fn signing_region(self, region: &str) -> &str {
        if self != Self::Iam {
            return region;
        }
        let global =
            |(prefix, global): &(&str, &'static str)| region.starts_with(prefix).then_some(*global);
        GLOBAL_REGIONS
            .iter()
            .find_map(global)
            .unwrap_or("us-east-1")
    }
}

/// Where IAM's requests are signed for, by the beginning of the region's name.
const GLOBAL_REGIONS: [(&str, &str); 7] = [
    ("cn-", "cn-north-1"),
    ("us-gov-", "us-gov-west-1"),
    ("eusc-", "eusc-de-east-1"),
    ("us-isob-", "us-isob-east-1"),
    ("us-isof-", "us-isof-south-1"),
    ("us-iso-", "us-iso-east-1"),
    ("eu-isoe-", "eu-isoe-west-1"),
];

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
    if service == Service::Iam {
        return match service.signing_region(region) {
            "us-east-1" => format!("https://iam.{}", AWS.suffix),
            "us-gov-west-1" => format!("https://iam.us-gov.{}", AWS.suffix),
            global => format!("https://iam.{global}.{}", partition.suffix),
        };
    }
    // In GovCloud, SSM's usual endpoint is its FIPS endpoint.
    let usual_is_fips = service == Service::Ssm && region.starts_with("us-gov-") && !use_dual_stack;
    let fips = if use_fips && !usual_is_fips {
        "-fips"
    } else {
        ""
    };
    format!("https://{}{fips}.{region}.{suffix}", service.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iam_is_global_in_each_partition() {
        for (region, url, signed_for) in [
            ("eu-west-1", "https://iam.amazonaws.com", "us-east-1"),
            (
                "cn-northwest-1",
                "https://iam.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
            ),
            (
                "us-gov-east-1",
                "https://iam.us-gov.amazonaws.com",
                "us-gov-west-1",
            ),
        ] {
            assert_eq!(regional(Service::Iam, region, false, false), url);
            assert_eq!(Service::Iam.signing_region(region), signed_for);
        }
    }

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
