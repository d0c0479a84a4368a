use proptest::prelude::*;

use super::*;

const ANSWERED: SystemTime = SystemTime::UNIX_EPOCH;

fn permissions(json: &str) -> Permissions {
    serde_json::from_str(json).unwrap()
}

fn config() -> Config {
    let lookup = |name: &str| {
        Some(
            match name {
                "AWS_REGION" => "eu-west-1",
                "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => "x",
                "GITHUB_TOKEN_BROKER_REPOSITORY_OWNER" => "octo-org",
                "GITHUB_TOKEN_BROKER_REPOSITORY_NAME" => "octo-repo",
                "GITHUB_TOKEN_BROKER_REPOSITORY_ID" => "7",
                _ => return None,
            }
            .to_owned(),
        )
    };
    Config::from_lookup(lookup).unwrap()
}

fn reach(json: &str) -> Result<RepositoryId, Difference> {
    let reach: Reach = serde_json::from_str(json).unwrap();
    compare_reach(&config(), &reach)
}

#[test]
fn exactly_the_configured_permissions_and_implied_metadata() {
    let configured = permissions(r#"{"contents":"read","issues":"write"}"#);
    let compare = |granted: &str| compare_permissions(&configured, &permissions(granted));
    assert_eq!(compare(r#"{"contents":"read","issues":"write"}"#), []);
    assert_eq!(
        compare(r#"{"contents":"read","issues":"write","metadata":"read"}"#),
        []
    );
    let missing = |name: &str| Difference::PermissionMissing(name.to_owned());
    let added = |name: &str| Difference::PermissionAdded(name.to_owned());
    let level = |name: &str| Difference::PermissionLevel(name.to_owned());
    assert_eq!(compare(r#"{"contents":"read"}"#), [missing("issues")]);
    assert_eq!(
        compare(r#"{"contents":"write","issues":"write"}"#),
        [level("contents")]
    );
    assert_eq!(
        compare(r#"{"contents":"read","issues":"read"}"#),
        [level("issues")]
    );
    assert_eq!(
        compare(r#"{"contents":"read","issues":"write","metadata":"write"}"#),
        [added("metadata")]
    );
    assert_eq!(
        compare(r#"{"contents":"read","issues":"write","secrets":"read"}"#),
        [added("secrets")]
    );
    assert_eq!(compare("{}"), [missing("contents"), missing("issues")]);
}

#[test]
fn a_permission_of_an_unusual_name_is_not_repeated() {
    let shown = Difference::PermissionAdded("<script>".to_owned()).to_string();
    assert_eq!(shown, "permission of an unusual name was not asked for");
}

#[test]
fn the_expiry_is_within_65_minutes_of_the_answer() {
    let compare = |text| compare_expiry(text, ANSWERED);
    assert_eq!(compare(Some("1970-01-01T01:00:00Z")), None);
    assert_eq!(compare(Some("1970-01-01T02:05:00+01:00")), None);
    assert_eq!(
        compare(Some("1970-01-01T01:05:01Z")),
        Some(Difference::LivesTooLong)
    );
    assert_eq!(
        compare(Some("9999-12-31T00:00:00Z")),
        Some(Difference::LivesTooLong)
    );
    assert_eq!(
        compare(Some("1970-01-01T00:00:00Z")),
        Some(Difference::AlreadyExpired)
    );
    assert_eq!(
        compare(Some("1969-12-31T23:59:59Z")),
        Some(Difference::AlreadyExpired)
    );
    assert_eq!(
        compare(Some("tomorrow")),
        Some(Difference::ExpirationUnreadable)
    );
    assert_eq!(
        compare(Some("1970-01-01T01:00:00")),
        Some(Difference::ExpirationUnreadable)
    );
    assert_eq!(compare(Some("")), Some(Difference::NoExpiration));
    assert_eq!(compare(None), Some(Difference::NoExpiration));
}

#[test]
fn exactly_the_one_repository() {
    let ours = r#"{"id":7,"full_name":"Octo-Org/octo-repo"}"#;
    let said = |selection: &str, count: u64, repositories: &str| {
        reach(&format!(
            r#"{{"repository_selection":{selection},"total_count":{count},"repositories":[{repositories}]}}"#
        ))
    };
    let selected = r#""selected""#;
    assert_eq!(said(selected, 1, ours), Ok(RepositoryId(7)));
    assert_eq!(said(r#""all""#, 1, ours), Err(Difference::AllRepositories));
    assert_eq!(said("null", 1, ours), Err(Difference::RepositoriesUnknown));
    assert_eq!(said(selected, 2, ours), Err(Difference::RepositoryCount(2)));
    assert_eq!(said(selected, 0, ""), Err(Difference::RepositoryCount(0)));
    assert_eq!(
        said(selected, 1, &format!("{ours},{ours}")),
        Err(Difference::RepositoryCount(2))
    );
    assert_eq!(
        said(selected, 1, r#"{"id":7,"full_name":"octo-org/other"}"#),
        Err(Difference::OtherRepository)
    );
    assert_eq!(
        said(selected, 1, r#"{"id":8,"full_name":"octo-org/octo-repo"}"#),
        Err(Difference::OtherRepositoryId)
    );
}

proptest! {
    /// Whatever permissions GitHub grants, nothing is different only where nothing is.
    #[test]
    fn no_other_permissions_pass(granted in prop::collection::btree_map("[a-c]", "read|write|admin", 0..4)) {
        let configured = permissions(r#"{"a":"read","b":"write"}"#);
        let text = serde_json::to_string(&granted).unwrap();
        let same = permissions(&text) == configured;
        prop_assert_eq!(compare_permissions(&configured, &permissions(&text)).is_empty(), same);
    }

    #[test]
    fn no_expiry_panics(text in "\\PC{0,40}") {
        let _ = compare_expiry(Some(&text), ANSWERED);
    }
}

/// Each field of GitHub's answer: as it has to be, left out, unreadable, or another.
fn field(
    right: &'static str,
    others: &'static [&'static str],
) -> impl Strategy<Value = (bool, Option<&'static str>)> {
    prop_oneof![
        4 => Just((true, Some(right))),
        1 => Just((false, None)),
        1 => prop::sample::select(others).prop_map(|other| (false, Some(other))),
    ]
}

proptest! {
    /// Out of all answers to a mint, only the one that is right in every field is proven by itself; and GitHub is asked
    /// only where all that it said was right and something about the repository was left out or unreadable.
    #[test]
    fn only_an_answer_that_is_right_in_every_field_is_proven(
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
        let said: Vec<_> = fields.iter().filter_map(|(name, value)| Some(format!("\"{name}\":{}", (*value)?))).collect();
        let grant: Grant = serde_json::from_str(&format!("{{{}}}", said.join(","))).unwrap();
        let config = config();
        let token = GrantedToken::for_tests(grant, ANSWERED);
        let examination = Examination::begin(token, &config, ANSWERED);

        let not_wrong = |right: bool, value: Option<&str>| right || value.is_none();
        let worth_asking = expiry_right && permissions_right
            && not_wrong(selection_right, selection) && not_wrong(repositories_right, repositories)
            && !(selection_right && repositories_right);
        prop_assert_eq!(examination.needs_reach(), worth_asking);
        let all_right = expiry_right && permissions_right && selection_right && repositories_right;
        prop_assert_eq!(examination.conclude(&config).is_ok(), all_right);
    }
}
