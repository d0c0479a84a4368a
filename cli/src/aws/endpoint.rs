//! Where an AWS service is: its URL and the region to sign for. Pure.
//!
//! The function's own table of partitions decides; a test of the function compares it with botocore's rules.

use broker::aws::endpoint::{self as function, Partition};

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

/// The endpoint of a service in a region.
pub fn regional(service: Service, region: &str, use_fips: bool, use_dual_stack: bool) -> String {
    let partition = Partition::of(region);
    let of_function = |service| {
        let url = function::regional_url(service, region, use_fips, use_dual_stack);
        // The region has been checked: it can be part of a host name.
        url.unwrap_or_default().to_string()
    };
    match service {
        Service::Lambda => partition.url(service.name(), region, use_fips, use_dual_stack),
        Service::Kms => of_function(function::Service::Kms),
        Service::Ssm => of_function(function::Service::Ssm),
        Service::Iam => {
            let host = match service.signing_region(region) {
                "us-east-1" => "iam".to_owned(),
                "us-gov-west-1" => "iam.us-gov".to_owned(),
                global => format!("iam.{global}"),
            };
            format!("https://{host}.{}", partition.suffix)
        }
    }
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

    #[test]
    fn ssm_and_kms_have_the_functions_endpoints() {
        let url = |service, region| regional(service, region, true, false);
        assert_eq!(
            url(Service::Kms, "eu-west-1"),
            "https://kms-fips.eu-west-1.amazonaws.com/"
        );
        // There, the usual endpoint is the FIPS endpoint.
        assert_eq!(
            url(Service::Ssm, "us-gov-west-1"),
            "https://ssm.us-gov-west-1.amazonaws.com/"
        );
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
