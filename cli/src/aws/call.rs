//! One signed request to an AWS service.
//!
//! Input: a service, a method, a path and a body. Output: the response, of any status. It sends the request once; the
//! caller knows what can be sent again. AWS's library signs.

use std::time::{Duration, SystemTime};

use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use http::{HeaderName, HeaderValue, Method, Request, Uri};

use super::{endpoint::Service, error::AwsError, session::Session};
use crate::http::{HttpError, Response, host_and_port};

/// A request.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// The service.
    pub service: Service,
    /// The method.
    pub method: Method,
    /// The path below the endpoint and the query, percent-encoded.
    pub path_and_query: String,
    /// Headers in lower case, in addition to those that signing adds.
    pub headers: &'a [(&'static str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

impl Session {
    /// Signs and sends a request, once, and waits this long for the response.
    ///
    /// # Errors
    /// The request cannot be signed, or there is no response.
    pub async fn call(&self, call: &Call<'_>, timeout: Duration) -> Result<Response, AwsError> {
        let url = format!(
            "{}{}",
            self.endpoint(call.service).trim_end_matches('/'),
            call.path_and_query
        );
        let request = self.signed(&url, call, SystemTime::now())?;
        self.diagnostics.detail(format!(
            "{} {} to {} ({}, {})",
            call.method,
            call.path_and_query,
            host_and_port(request.uri()),
            call.service.name(),
            self.region
        ));
        let response = self.http.send_within(request, timeout).await?;
        self.diagnostics.detail(format!(
            "{} returned HTTP {}",
            call.service.name(),
            response.status
        ));
        Ok(response)
    }

    fn signed(
        &self,
        url: &str,
        call: &Call<'_>,
        now: SystemTime,
    ) -> Result<Request<Vec<u8>>, AwsError> {
        let unsigned = || AwsError::Signing {
            service: call.service,
        };
        let target: Uri = url
            .parse()
            .map_err(|_| AwsError::Http(HttpError::InvalidUrl))?;
        let identity = self.credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(call.service.signing_region(&self.region))
            .name(call.service.name())
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| unsigned())?;
        let signable = SignableRequest::new(
            call.method.as_str(),
            url,
            call.headers.iter().copied(),
            SignableBody::Bytes(call.body),
        );
        let signed = signable.and_then(|signable| sign(signable, &params.into()));
        let (instructions, _) = signed.map_err(|_| unsigned())?.into_parts();

        let mut request = Request::new(call.body.to_vec());
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = target;
        for (name, value) in call.headers {
            let value = HeaderValue::from_str(value).map_err(|_| unsigned())?;
            request
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
        request.headers_mut().insert(
            http::header::USER_AGENT,
            HeaderValue::from_static("github-token-broker"),
        );
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}
