//! Responses as GitHub's own schemas describe them, changed in up to four places. None of them may prove a wider token.

use serde_json::{Value, json};

use super::*;

/// Some value that a schema allows.
fn value(schema: &Value) -> BoxedStrategy<Value> {
    let value = match (schema["type"].as_str(), schema["format"].as_str()) {
        _ if schema["enum"].is_array() => {
            prop::sample::select(schema["enum"].as_array().unwrap().clone()).boxed()
        }
        (Some("object"), _) => object(schema),
        (Some("array"), _) => prop::collection::vec(value(&schema["items"]), 0..3)
            .prop_map(Value::from)
            .boxed(),
        (Some("integer"), _) => (0..1_i64 << 53).prop_map(Value::from).boxed(),
        (Some("boolean"), _) => any::<bool>().prop_map(Value::from).boxed(),
        (Some("string"), Some("date-time")) => Just(json!("1970-01-01T00:59:59Z")).boxed(),
        (Some("string"), _) => "[!-~]{1,12}".prop_map(Value::from).boxed(),
        other => unreachable!("the schemas have no {other:?}"),
    };
    if schema["nullable"] == true {
        prop_oneof![value, Just(Value::Null)].boxed()
    } else {
        value
    }
}

fn object(schema: &Value) -> BoxedStrategy<Value> {
    let none = serde_json::Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let members: Vec<_> = properties
        .iter()
        .map(|(name, schema)| {
            let value = value(schema);
            let value = if required.contains(&json!(name)) {
                value.prop_map(Some).boxed()
            } else {
                prop::option::of(value).boxed()
            };
            (Just(name.clone()), value)
        })
        .collect();
    members
        .prop_map(|members| {
            members
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect()
        })
        .boxed()
}

fn schema(call: &str) -> Value {
    let schemas: Value = serde_json::from_str(include_str!("schemas.json")).unwrap();
    schemas[call].clone()
}

/// A response to a mint that proves the token, with everything else that GitHub may say.
fn mint() -> impl Strategy<Value = Value> {
    (value(&schema("mint")), repositories()).prop_map(|(mut response, repositories)| {
        response["token"] = json!("ghs_test");
        response["expires_at"] = json!("1970-01-01T01:00:00Z");
        response["permissions"] = json!({"contents": "read", "metadata": "read"});
        response["repository_selection"] = json!("selected");
        response["repositories"] = repositories;
        response
    })
}

/// The list of what the token can access, if that is our repository alone.
fn list() -> impl Strategy<Value = Value> {
    (value(&schema("list_repositories")), repositories()).prop_map(
        |(mut response, repositories)| {
            response["total_count"] = json!(1);
            response["repository_selection"] = json!("selected");
            response["repositories"] = repositories;
            response
        },
    )
}

fn repositories() -> impl Strategy<Value = Value> {
    value(&schema("mint")["properties"]["repositories"]["items"]).prop_map(|mut repository| {
        repository["id"] = json!(7);
        repository["full_name"] = json!("Octo-Org/octo-repo");
        json!([repository])
    })
}

/// One change of a response.
#[derive(Debug, Clone)]
enum Mutation {
    /// Removes a member or an element.
    Remove,
    /// Replaces a value.
    Replace(Value),
    /// Adds a member to an object, or an element to a list.
    Add(&'static str, Value),
}

/// Up to four changes, each with the place where it happens.
fn mutations() -> impl Strategy<Value = Vec<(prop::sample::Index, Mutation)>> {
    let values: Vec<Value> = serde_json::from_str(
        r#"[
            null, true, 0, 1, 7, -7, 7.0, 18446744073709551615, "", "all", "selected", "read", "write", "admin",
            "octo-org/octo-repo", "octo-org/other", "octo-org/octo-repo/", "octo-org",
            "1970-01-01T01:05:00Z", "1970-01-01T01:05:01Z", "9999-12-31T23:59:59Z", "1969-01-01T00:00:00Z",
            [], {}, ["contents"], {"contents": "write"}, {"contents": "read"},
            {"id": 7, "full_name": "octo-org/octo-repo"}, {"id": 8, "full_name": "octo-org/other"},
            [{"id": 8, "full_name": "octo-org/octo-repo"}], [{"id": 7, "full_name": "octo-org/other"}]
        ]"#,
    )
    .unwrap();
    let value = prop::sample::select(values);
    let name = prop::sample::select(vec![
        "contents",
        "Contents",
        "contents ",
        "metadata",
        "administration",
        "id",
        "permissions",
        "repositories",
        "",
    ]);
    let mutation = prop_oneof![
        Just(Mutation::Remove),
        value.clone().prop_map(Mutation::Replace),
        (name, value).prop_map(|(name, value)| Mutation::Add(name, value)),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), mutation), 0..=4)
}

/// JSON pointers to everything that the proof reads, and to the response itself.
fn places(response: &Value) -> Vec<String> {
    let mut places = vec![String::new()];
    for name in [
        "token",
        "expires_at",
        "total_count",
        "permissions",
        "repository_selection",
        "repositories",
    ] {
        places.push(format!("/{name}"));
    }
    let permissions = response["permissions"].as_object().into_iter().flatten();
    places.extend(permissions.map(|(name, _)| format!("/permissions/{name}")));
    for index in 0..response["repositories"].as_array().map_or(0, Vec::len) {
        places.extend(
            ["", "/id", "/full_name"].map(|member| format!("/repositories/{index}{member}")),
        );
    }
    places.retain(|place| response.pointer(place).is_some());
    places
}

fn change(mut response: Value, mutations: &[(prop::sample::Index, Mutation)]) -> Value {
    for (place, mutation) in mutations {
        let places = places(&response);
        let place = &places[place.index(places.len())];
        match mutation {
            Mutation::Replace(value) => *response.pointer_mut(place).unwrap() = value.clone(),
            Mutation::Add(name, value) => match response.pointer_mut(place).unwrap() {
                Value::Object(members) => drop(members.insert((*name).to_owned(), value.clone())),
                Value::Array(elements) => elements.push(value.clone()),
                _ => {}
            },
            Mutation::Remove => {
                let Some((parent, name)) = place.rsplit_once('/') else {
                    continue;
                };
                match response.pointer_mut(parent).unwrap() {
                    Value::Object(members) => drop(members.remove(name)),
                    Value::Array(elements) => drop(elements.remove(name.parse().unwrap())),
                    _ => {}
                }
            }
        }
    }
    response
}

/// Whether a response says that the token is for our repository alone. This is not the code under test, on purpose.
fn is_for_our_repository_alone(response: &Value) -> bool {
    let repositories = response["repositories"].as_array();
    response["repository_selection"] == "selected"
        && repositories.is_some_and(|found| {
            found.len() == 1
                && found[0]["id"] == 7
                && found[0]["full_name"]
                    .as_str()
                    .is_some_and(|name| name.to_lowercase() == "octo-org/octo-repo")
        })
        && response.get("total_count").is_none_or(|count| *count == 1)
}

fn is_within_scope(response: &Value) -> bool {
    let permissions = &response["permissions"];
    let lifetimes = [
        "1970-01-01T00:59:59Z",
        "1970-01-01T01:00:00Z",
        "1970-01-01T01:05:00Z",
    ];
    (*permissions == json!({"contents": "read"})
        || *permissions == json!({"contents": "read", "metadata": "read"}))
        && lifetimes
            .iter()
            .any(|expiry| response["expires_at"] == *expiry)
}

proptest! {
    /// A proven token is never wider than the configured scope, and what GitHub grants as configured is proven.
    #[test]
    fn mutated_response_never_proves_a_wider_token(
        (mint, mint_mutations) in (mint(), mutations()),
        (list, list_mutations) in (list(), mutations()),
    ) {
        let mint = change(mint, &mint_mutations);
        let list = change(list, &list_mutations);
        let parsed = GrantedToken::from_json(mint.to_string(), GRANTED_AT);
        prop_assert_eq!(parsed.is_ok(), mint["token"].as_str().is_some_and(|token| !token.is_empty()));
        let Ok(granted) = parsed else { return Ok(()) };
        let scope = scope();
        let mut check = ScopeCheck::new(granted, &scope, Clock::Ours, GRANTED_AT);
        let mut is_alone = is_for_our_repository_alone(&mint);
        if check.needs_repository_list() {
            prop_assert!(!is_alone);
            let Ok(list_read) = serde_json::from_value(list.clone()) else { return Ok(()) };
            check = check.with_repository_list(&list_read);
            is_alone = is_for_our_repository_alone(&list);
        }
        match check.finish() {
            Ok(proven) => {
                prop_assert!(is_alone && is_within_scope(&mint), "a wider token was proven");
                prop_assert_eq!(proven.repository_id(), RepositoryId::parse("7").unwrap());
            }
            Err(_) => prop_assert!(!(mint_mutations.is_empty() && list_mutations.is_empty()), "a correct token was rejected"),
        }
    }

    /// The same bytes with a member twice: it is not decided which of them counts, so nothing is proven.
    #[test]
    fn repeated_member_proves_nothing(mint in mint(), name in prop::sample::select(vec!["expires_at", "permissions", "repository_selection", "repositories"])) {
        let member = format!("{{{}:{},", json!(name), mint[name]);
        let body = mint.to_string().replacen('{', &member, 1);
        let granted = GrantedToken::from_json(body, GRANTED_AT).unwrap();
        let scope = scope();
        prop_assert!(ScopeCheck::new(granted, &scope, Clock::Ours, GRANTED_AT).finish().is_err());
    }
}
