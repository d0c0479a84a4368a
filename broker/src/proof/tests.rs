use proptest::prelude::*;

use super::*;
use crate::scope::Repository;

mod mutations;

const GRANTED_AT: SystemTime = SystemTime::UNIX_EPOCH;

fn permissions(json: &str) -> Permissions {
    serde_json::from_str(json).unwrap()
}

fn scope() -> TokenScope {
    TokenScope {
        repository: Repository::parse("octo-org", "octo-repo").unwrap(),
        repository_id: RepositoryId::parse("7"),
        permissions: permissions(r#"{"contents":"read"}"#),
    }
}

fn repository_list(json: &str) -> Result<RepositoryId, Mismatch> {
    check_repository_list(&scope(), &serde_json::from_str(json).unwrap())
}

#[test]
fn only_configured_permissions_and_implied_metadata_match() {
    let configured = permissions(r#"{"contents":"read","issues":"write"}"#);
    let check = |granted: &str| check_permissions(&configured, &permissions(granted));
    assert_eq!(check(r#"{"contents":"read","issues":"write"}"#), []);
    assert_eq!(
        check(r#"{"contents":"read","issues":"write","metadata":"read"}"#),
        []
    );
    let missing = |name: &str| Mismatch::MissingPermission(name.to_owned());
    let unexpected = |name: &str| Mismatch::UnexpectedPermission(name.to_owned());
    let level = |name: &str| Mismatch::WrongLevel(name.to_owned());
    assert_eq!(check(r#"{"contents":"read"}"#), [missing("issues")]);
    assert_eq!(
        check(r#"{"contents":"write","issues":"write"}"#),
        [level("contents")]
    );
    assert_eq!(
        check(r#"{"contents":"read","issues":"read"}"#),
        [level("issues")]
    );
    assert_eq!(
        check(r#"{"contents":"read","issues":"write","metadata":"write"}"#),
        [unexpected("metadata")]
    );
    assert_eq!(
        check(r#"{"contents":"read","issues":"write","secrets":"read"}"#),
        [unexpected("secrets")]
    );
    assert_eq!(check("{}"), [missing("contents"), missing("issues")]);
}

#[test]
fn unusual_permission_name_is_not_repeated() {
    let shown = Mismatch::UnexpectedPermission("<script>".to_owned()).to_string();
    assert_eq!(
        shown,
        "a permission with an unusual name was granted but not configured"
    );
}

#[test]
fn expiry_is_within_65_minutes_of_the_grant() {
    let check = |text| check_expiry(text, GRANTED_AT);
    assert_eq!(check(Some("1970-01-01T01:00:00Z")), None);
    assert_eq!(check(Some("1970-01-01T02:05:00+01:00")), None);
    assert_eq!(
        check(Some("1970-01-01T01:05:01Z")),
        Some(Mismatch::LifetimeTooLong)
    );
    assert_eq!(
        check(Some("9999-12-31T00:00:00Z")),
        Some(Mismatch::LifetimeTooLong)
    );
    assert_eq!(
        check(Some("1970-01-01T00:00:00Z")),
        Some(Mismatch::AlreadyExpired)
    );
    assert_eq!(
        check(Some("1969-12-31T23:59:59Z")),
        Some(Mismatch::AlreadyExpired)
    );
    assert_eq!(
        check(Some("tomorrow")),
        Some(Mismatch::ExpirationUnreadable)
    );
    assert_eq!(
        check(Some("1970-01-01T01:00:00")),
        Some(Mismatch::ExpirationUnreadable)
    );
    let many_digits = format!("1970-01-01T00:30:00.{}Z", "0".repeat(50_000));
    assert_eq!(
        check(Some(&many_digits)),
        Some(Mismatch::ExpirationUnreadable)
    );
    assert_eq!(check(Some("")), Some(Mismatch::NoExpiration));
    assert_eq!(check(None), Some(Mismatch::NoExpiration));
}

#[test]
fn only_the_configured_repository_matches() {
    let ours = r#"{"id":7,"full_name":"Octo-Org/octo-repo"}"#;
    let list = |selection: &str, count: u64, repositories: &str| {
        repository_list(&format!(
            r#"{{"repository_selection":{selection},"total_count":{count},"repositories":[{repositories}]}}"#
        ))
    };
    let selected = r#""selected""#;
    assert_eq!(
        list(selected, 1, ours),
        Ok(RepositoryId::parse("7").unwrap())
    );
    assert_eq!(list(r#""all""#, 1, ours), Err(Mismatch::AllRepositories));
    assert_eq!(list("null", 1, ours), Err(Mismatch::RepositoriesUnknown));
    assert_eq!(
        list(selected, 2, ours),
        Err(Mismatch::WrongRepositoryCount(2))
    );
    assert_eq!(
        list(selected, 0, ""),
        Err(Mismatch::WrongRepositoryCount(0))
    );
    assert_eq!(
        list(selected, 1, &format!("{ours},{ours}")),
        Err(Mismatch::WrongRepositoryCount(2))
    );
    assert_eq!(
        list(selected, 1, r#"{"id":7,"full_name":"octo-org/other"}"#),
        Err(Mismatch::WrongRepository)
    );
    assert_eq!(
        list(selected, 1, r#"{"id":8,"full_name":"octo-org/octo-repo"}"#),
        Err(Mismatch::WrongRepositoryId)
    );
}

proptest! {
    /// Whatever permissions GitHub grants, only the configured ones have no mismatch.
    #[test]
    fn different_permissions_never_match(granted in prop::collection::btree_map("[a-c]", "read|write|admin", 0..4)) {
        let configured = permissions(r#"{"a":"read","b":"write"}"#);
        let text = serde_json::to_string(&granted).unwrap();
        let same = permissions(&text) == configured;
        prop_assert_eq!(check_permissions(&configured, &permissions(&text)).is_empty(), same);
    }

    #[test]
    fn arbitrary_expiry_never_panics(text in "\\PC{0,40}") {
        let _ = check_expiry(Some(&text), GRANTED_AT);
    }
}

/// Each field of GitHub's response: correct, missing, unreadable, or wrong.
fn field(
    right: &'static str,
    wrong: &'static [&'static str],
) -> impl Strategy<Value = (bool, Option<&'static str>)> {
    prop_oneof![
        4 => Just((true, Some(right))),
        1 => Just((false, None)),
        1 => prop::sample::select(wrong).prop_map(|value| (false, Some(value))),
    ]
}

proptest! {
    /// Only a response that is correct in every field is proven on its own. GitHub is asked only if everything it said is
    /// correct and something about the repository is missing or unreadable.
    #[test]
    fn only_a_fully_correct_response_is_proven(
        (expiry_right, expires_at) in field(r#""1970-01-01T01:00:00Z""#, &["7", "null", r#""soon""#, r#""2099-01-01T00:00:00Z""#]),
        (permissions_right, granted) in field(
            r#"{"contents":"read","metadata":"read"}"#,
            &["{}", "null", r#"{"contents":"write"}"#, r#"{"contents":"read","a":"b"}"#, r#"{"contents":"read","contents":"read"}"#],
        ),
        (selection_right, selection) in field(r#""selected""#, &[r#""all""#, r#""""#]),
        (repositories_right, repositories) in field(
            r#"[{"id":7,"full_name":"octo-org/octo-repo"}]"#,
            &["[]", r#"[{"id":8,"full_name":"octo-org/octo-repo"}]"#, r#"[{"id":7,"full_name":"a/b"}]"#,
              r#"[{"id":7,"full_name":"octo-org/octo-repo"},{"id":9,"full_name":"a/b"}]"#],
        ),
    ) {
        let fields = [
            ("expires_at", expires_at), ("permissions", granted),
            ("repository_selection", selection), ("repositories", repositories),
        ];
        let members: Vec<_> = fields.iter().filter_map(|(name, value)| Some(format!("\"{name}\":{}", (*value)?))).collect();
        let body = format!(r#"{{"token":"ghs_test",{}}}"#, members.join(",")).replace(",}", "}");
        let token = GrantedToken::from_json(body, GRANTED_AT).unwrap();
        let scope = scope();
        let check = ScopeCheck::new(token, &scope, Clock::Ours, GRANTED_AT);

        let not_wrong = |right: bool, value: Option<&str>| right || value.is_none();
        let worth_asking = expiry_right && permissions_right
            && not_wrong(selection_right, selection) && not_wrong(repositories_right, repositories)
            && !(selection_right && repositories_right);
        prop_assert_eq!(check.needs_repository_list(), worth_asking);
        let all_right = expiry_right && permissions_right && selection_right && repositories_right;
        prop_assert_eq!(check.finish().is_ok(), all_right);
    }
}
