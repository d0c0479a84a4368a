//! The rules of the sandbox's GitHub, without HTTP.

use std::collections::BTreeMap;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{GitHub, TokenRequest};
use crate::github::error::Refusal;
use crate::github::private_key::PrivateKey;
use crate::github::token::Token;
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

fn only(name: &str, contents: &str) -> TokenRequest {
    TokenRequest {
        repositories: Some(vec![name.to_owned()]),
        repository_ids: None,
        permissions: Some(BTreeMap::from([(
            "contents".to_owned(),
            contents.to_owned(),
        )])),
    }
}

fn mint(github: &mut GitHub, request: TokenRequest) -> Result<Token, Refusal> {
    github.mint(123_456, INSTALLATION_ID, request)
}

#[test]
fn a_jwt_is_taken_only_when_everything_about_it_is_right() {
    let (github, key) = (github(), PrivateKey::rsa(2048));
    let answer = |jwt: &str| github.authenticate(jwt).map(|app| app.id);
    let signed = |claims: &Value| answer(&jwt(&key, Algorithm::RS256, claims));
    assert_eq!(signed(&claims(&github, -60, 540)), Ok(123_456));
    assert_eq!(signed(&claims(&github, 5, 540)), Err(Refusal::JwtIssuedAt));
    assert_eq!(signed(&claims(&github, -60, 0)), Err(Refusal::JwtExpired));
    assert_eq!(signed(&claims(&github, -60, 700)), Err(Refusal::JwtTooLong));
    let mut by_number = claims(&github, -60, 540);
    by_number["iss"] = json!("123456");
    assert_eq!(signed(&by_number), Ok(123_456));
    by_number["iss"] = json!("Iv23liSomebodyElse");
    assert_eq!(signed(&by_number), Err(Refusal::JwtUndecodable));
    let good = claims(&github, -60, 540);
    for algorithm in [Algorithm::RS512, Algorithm::HS256] {
        assert_eq!(
            answer(&jwt(&key, algorithm, &good)),
            Err(Refusal::JwtUndecodable)
        );
    }
    let stranger = PrivateKey::fresh(2048);
    assert_eq!(
        answer(&jwt(&stranger, Algorithm::RS256, &good)),
        Err(Refusal::JwtUndecodable)
    );
    assert_eq!(answer("no JWT at all"), Err(Refusal::JwtUndecodable));
}

#[test]
fn an_app_may_have_several_keys() {
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
fn a_token_request_gets_what_it_names_and_everything_where_it_names_nothing() {
    let mut github = github();
    let narrow = mint(&mut github, only("OCTO-repo", "read")).expect("covered and granted");
    assert_eq!(narrow.repository_ids, Some(vec![1_296_269]));
    assert_eq!(
        narrow
            .permissions
            .iter()
            .map(|(name, level)| format!("{name}:{level}"))
            .collect::<Vec<_>>(),
        ["contents:read", "metadata:read"]
    );
    let wide = mint(&mut github, TokenRequest::default()).expect("the whole installation");
    assert_eq!(
        (wide.repository_ids.clone(), github.reachable(&wide).len()),
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
fn a_token_request_beyond_the_installation_is_refused() {
    let mut github = github();
    assert_eq!(
        mint(&mut github, only("octo-repo", "admin")).err(),
        Some(Refusal::PermissionsNotGranted)
    );
    assert_eq!(
        mint(&mut github, only("octo-repo", "everything")).err(),
        Some(Refusal::PermissionsNotGranted)
    );
    assert_eq!(
        mint(&mut github, only("nowhere", "read")).err(),
        Some(Refusal::RepositoryNotAccessible)
    );
    assert_eq!(
        github.mint(123_456, 1, only("octo-repo", "read")).err(),
        Some(Refusal::NotFound)
    );
    github.installation_mut().ip_allow_list = true;
    assert_eq!(
        mint(&mut github, only("octo-repo", "read")).err(),
        Some(Refusal::IpNotAllowed("octo-org".into()))
    );
    github.installation_mut().suspended = true;
    assert_eq!(
        mint(&mut github, only("octo-repo", "read")).err(),
        Some(Refusal::Suspended)
    );
}

#[test]
fn a_token_does_what_it_was_given_and_no_more() {
    let mut github = github();
    let token = mint(&mut github, only("octo-repo", "read")).expect("covered and granted");
    let read = |name| {
        github
            .read(Some(&token), name)
            .map(|repository| repository.id)
    };
    assert_eq!(read("octo-org/octo-repo"), Ok(1_296_269));
    assert_eq!(read("octo-org/other-repo"), Err(Refusal::NotFound));
    assert_eq!(read("octo-org/public-repo"), Ok(1_296_271));
    assert_eq!(
        github.write(&token, "octo-org/octo-repo").err(),
        Some(Refusal::NotAccessible)
    );
    assert_eq!(
        github.write(&token, "octo-org/public-repo").err(),
        Some(Refusal::NotAccessible)
    );
    let writer = mint(&mut github, only("octo-repo", "write")).expect("covered and granted");
    assert!(github.write(&writer, "octo-org/octo-repo").is_ok());
}

#[test]
fn a_token_ends_when_it_is_revoked_or_too_old() {
    let mut github = github();
    let token = mint(&mut github, only("octo-repo", "read")).expect("covered and granted");
    assert!(github.present(&token.value).is_ok());
    github.clock.shift(3601);
    assert_eq!(
        github.present(&token.value).err(),
        Some(Refusal::BadCredentials)
    );
    let token = mint(&mut github, only("octo-repo", "read")).expect("covered and granted");
    github.revoke(&token.value).expect("it is good");
    assert_eq!(github.revoke(&token.value), Err(Refusal::BadCredentials));
}

#[test]
fn a_fresh_token_needs_time_to_spread() {
    let mut github = github();
    github.spreading = 2;
    let token = mint(&mut github, only("octo-repo", "read")).expect("covered and granted");
    let seen: Vec<_> = (0..3).map(|_| github.present(&token.value).err()).collect();
    assert_eq!(
        seen,
        [Some(Refusal::NotFound), Some(Refusal::BadCredentials), None]
    );
}

#[test]
fn a_renamed_repository_is_a_redirect() {
    let mut github = github();
    github.rename("octo-org/octo-repo", "octo-org/new-name");
    let app = github.apps[0].clone();
    assert_eq!(
        github.installation_on(&app, "octo-org/octo-repo").err(),
        Some(Refusal::Moved(1_296_269))
    );
    assert!(github.installation_on(&app, "Octo-Org/New-Name").is_ok());
    assert_eq!(
        github.installation_on(&app, "octo-org/nowhere").err(),
        Some(Refusal::NotFound)
    );
}
