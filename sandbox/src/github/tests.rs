//! The rules of GitHub, without HTTP.

use std::collections::BTreeMap;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::error::GitHubError;
use super::private_key::PrivateKey;
use super::token::Token;
use super::{GitHub, TokenRequest};
use crate::scenario::fixtures::{self, CLIENT_ID, INSTALLATION_ID};

fn github() -> GitHub {
    fixtures::github(&PrivateKey::rsa(2048))
}

fn jwt(key: &PrivateKey, algorithm: Algorithm, claims: &Value) -> String {
    let key = match algorithm {
        Algorithm::HS256 => EncodingKey::from_secret(b"secret"),
        _ => EncodingKey::from_rsa_der(key.pkcs1_der()),
    };
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).expect("claims are JSON")
}

fn claims(github: &GitHub, issued: i64, expires: i64) -> Value {
    json!({ "iss": CLIENT_ID, "iat": github.now() + issued, "exp": github.now() + expires })
}

fn limited_to(name: &str, contents: &str) -> TokenRequest {
    TokenRequest {
        repositories: Some(vec![name.to_owned()]),
        repository_ids: None,
        permissions: Some(BTreeMap::from([(
            "contents".to_owned(),
            contents.to_owned(),
        )])),
    }
}

fn mint(github: &mut GitHub, request: TokenRequest) -> Result<Token, GitHubError> {
    github.mint(123_456, INSTALLATION_ID, request)
}

#[test]
fn jwt_is_accepted_only_if_every_part_is_valid() {
    let (github, key) = (github(), PrivateKey::rsa(2048));
    let authenticate = |jwt: &str| github.authenticate(jwt).map(|app| app.id);
    let signed = |claims: &Value| authenticate(&jwt(&key, Algorithm::RS256, claims));
    assert_eq!(signed(&claims(&github, -60, 540)), Ok(123_456));
    assert_eq!(
        signed(&claims(&github, 5, 540)),
        Err(GitHubError::JwtIssuedAt)
    );
    assert_eq!(
        signed(&claims(&github, -60, 0)),
        Err(GitHubError::JwtExpired)
    );
    assert_eq!(
        signed(&claims(&github, -60, 700)),
        Err(GitHubError::JwtTooLong)
    );
    let mut by_number = claims(&github, -60, 540);
    by_number["iss"] = json!("123456");
    assert_eq!(signed(&by_number), Ok(123_456));
    by_number["iss"] = json!("Iv23liUnknown");
    assert_eq!(signed(&by_number), Err(GitHubError::IntegrationNotFound));
    let good = claims(&github, -60, 540);
    for algorithm in [Algorithm::RS512, Algorithm::HS256] {
        assert_eq!(
            authenticate(&jwt(&key, algorithm, &good)),
            Err(GitHubError::JwtUndecodable)
        );
    }
    let unknown = PrivateKey::fresh(2048);
    assert_eq!(
        authenticate(&jwt(&unknown, Algorithm::RS256, &good)),
        Err(GitHubError::JwtUndecodable)
    );
    assert_eq!(
        authenticate("no JWT at all"),
        Err(GitHubError::JwtUndecodable)
    );
}

#[test]
fn every_key_of_an_app_signs() {
    let (mut github, second) = (github(), PrivateKey::fresh(2048));
    github.app_mut().keys.push(second.public());
    let claims = claims(&github, -60, 540);
    assert!(
        github
            .authenticate(&jwt(&second, Algorithm::RS256, &claims))
            .is_ok()
    );
}

#[test]
fn token_request_gets_the_named_scope_or_everything() {
    let mut github = github();
    let limited = mint(&mut github, limited_to("OCTO-repo", "read")).expect("covered and granted");
    assert_eq!(limited.repository_ids, Some(vec![1_296_269]));
    assert_eq!(
        limited
            .permissions
            .iter()
            .map(|(name, level)| format!("{name}:{level}"))
            .collect::<Vec<_>>(),
        ["contents:read", "metadata:read"]
    );
    let wide = mint(&mut github, TokenRequest::default()).expect("the whole installation");
    assert_eq!(
        (wide.repository_ids.clone(), github.accessible(&wide).len()),
        (None, 3)
    );
    assert_eq!(wide.permissions["contents"], "write");
    let by_id = TokenRequest {
        repository_ids: Some(vec![1_296_270]),
        ..TokenRequest::default()
    };
    assert_eq!(
        mint(&mut github, by_id).expect("covered").repository_ids,
        Some(vec![1_296_270])
    );
}

#[test]
fn token_request_beyond_the_installation_is_rejected() {
    let mut github = github();
    assert_eq!(
        mint(&mut github, limited_to("octo-repo", "admin")).err(),
        Some(GitHubError::PermissionsNotGranted)
    );
    assert_eq!(
        mint(&mut github, limited_to("octo-repo", "everything")).err(),
        Some(GitHubError::PermissionsNotGranted)
    );
    assert_eq!(
        mint(&mut github, limited_to("nowhere", "read")).err(),
        Some(GitHubError::RepositoryNotAccessible)
    );
    assert_eq!(
        github
            .mint(123_456, 1, limited_to("octo-repo", "read"))
            .err(),
        Some(GitHubError::NotFound)
    );
    github.installation_mut().ip_allow_list = true;
    assert_eq!(
        mint(&mut github, limited_to("octo-repo", "read")).err(),
        Some(GitHubError::IpNotAllowed("octo-org".into()))
    );
    github.installation_mut().suspended = true;
    assert_eq!(
        mint(&mut github, limited_to("octo-repo", "read")).err(),
        Some(GitHubError::Suspended)
    );
}

#[test]
fn token_allows_only_its_own_scope() {
    let mut github = github();
    let token = mint(&mut github, limited_to("octo-repo", "read")).expect("covered and granted");
    let read = |name| {
        github
            .read(Some(&token), name)
            .map(|repository| repository.id)
    };
    assert_eq!(read("octo-org/octo-repo"), Ok(1_296_269));
    assert_eq!(read("octo-org/other-repo"), Err(GitHubError::NotFound));
    assert_eq!(read("octo-org/public-repo"), Ok(1_296_271));
    assert_eq!(
        github.write(&token, "octo-org/octo-repo").err(),
        Some(GitHubError::NotAccessible)
    );
    assert_eq!(
        github.write(&token, "octo-org/public-repo").err(),
        Some(GitHubError::NotAccessible)
    );
    let writer = mint(&mut github, limited_to("octo-repo", "write")).expect("covered and granted");
    assert!(github.write(&writer, "octo-org/octo-repo").is_ok());
}

#[test]
fn revoked_or_expired_token_is_rejected() {
    let mut github = github();
    let token = mint(&mut github, limited_to("octo-repo", "read")).expect("covered and granted");
    assert!(github.use_token(&token.value).is_ok());
    github.clock.shift(3601);
    assert_eq!(
        github.use_token(&token.value).err(),
        Some(GitHubError::BadCredentials)
    );
    let token = mint(&mut github, limited_to("octo-repo", "read")).expect("covered and granted");
    github.revoke(&token.value).expect("it is valid");
    assert_eq!(
        github.revoke(&token.value),
        Err(GitHubError::BadCredentials)
    );
}

#[test]
fn new_token_is_rejected_until_it_has_propagated() {
    let mut github = github();
    github.propagation_calls = 2;
    let token = mint(&mut github, limited_to("octo-repo", "read")).expect("covered and granted");
    let seen: Vec<_> = (0..3)
        .map(|_| github.use_token(&token.value).err())
        .collect();
    assert_eq!(
        seen,
        [
            Some(GitHubError::NotFound),
            Some(GitHubError::BadCredentials),
            None
        ]
    );
}

#[test]
fn renamed_repository_is_a_redirect() {
    let mut github = github();
    github.rename("octo-org/octo-repo", "octo-org/new-name");
    let app = github.apps[0].clone();
    assert_eq!(
        github.installation_on(&app, "octo-org/octo-repo").err(),
        Some(GitHubError::Moved(1_296_269))
    );
    assert!(github.installation_on(&app, "Octo-Org/New-Name").is_ok());
    assert_eq!(
        github.installation_on(&app, "octo-org/nowhere").err(),
        Some(GitHubError::NotFound)
    );
}
