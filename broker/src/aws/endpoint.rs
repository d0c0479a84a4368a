//! Where SSM is. Pure.
//!
//! In: a region, and whether FIPS and dual-stack endpoints are wanted. Out: the URL, by the rules of AWS's SDKs, to which
//! a test holds it for each kind of region.

use http::Uri;

/// A group of regions with DNS names of their own.
struct Partition {
    /// How its regions' names begin.
    regions: &'static str,
    suffix: &'static str,
    dual_stack_suffix: &'static str,
}

/// The commercial regions and GovCloud, and every region that is not known yet.
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

/// SSM's endpoint in a region. `None` if the region's name can be no part of a host's, which [`crate::rules`] rules out.
pub fn regional_endpoint(region: &str, use_fips: bool, use_dual_stack: bool) -> Option<Uri> {
    let partition = OTHERS
        .iter()
        .find(|partition| region.starts_with(partition.regions))
        .unwrap_or(&AWS);
    // GovCloud's usual endpoint is its FIPS endpoint.
    let usual_is_fips = region.starts_with("us-gov-") && !use_dual_stack;
    let service = if use_fips && !usual_is_fips {
        "ssm-fips"
    } else {
        "ssm"
    };
    let suffix = if use_dual_stack {
        partition.dual_stack_suffix
    } else {
        partition.suffix
    };
    format!("https://{service}.{region}.{suffix}").parse().ok()
}

#[cfg(test)]
mod tests {
    use aws_sdk_ssm::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
    use futures_util::FutureExt;

    use super::*;

    fn of_the_sdk(region: &str, use_fips: bool, use_dual_stack: bool) -> Uri {
        let params = Params::builder()
            .region(region)
            .use_fips(use_fips)
            .use_dual_stack(use_dual_stack)
            .build()
            .unwrap();
        let endpoint = DefaultResolver::new()
            .resolve_endpoint(&params)
            .now_or_never()
            .unwrap();
        endpoint.unwrap().url().parse().unwrap()
    }

    #[test]
    fn every_region_has_the_endpoint_that_the_sdk_gives_it() {
        // One region, at least, of each partition; the last is in none.
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
                assert_eq!(
                    regional_endpoint(region, use_fips, use_dual_stack),
                    Some(of_the_sdk(region, use_fips, use_dual_stack)),
                    "{region}, FIPS {use_fips}, dual-stack {use_dual_stack}"
                );
            }
        }
    }
}
