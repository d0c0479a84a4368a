//! The state that every scenario starts from: one App, installed on one account, with its key in SSM.

use std::collections::BTreeMap;

use crate::aws::kms::Kms;
use crate::aws::ssm::Parameter;
use crate::github::GitHub;
use crate::github::model::{App, Installation, Repository};
use crate::github::private_key::PrivateKey;

/// The App's client ID in a scenario.
pub const CLIENT_ID: &str = "Iv23liSandboxSandbox";
/// The installation ID in a scenario.
pub const INSTALLATION_ID: u64 = 12_345_678;
/// The default names of the three parameters: client ID, installation ID, private key.
pub const PARAMETERS: [&str; 3] = [
    "/github-token-broker/app/client-id",
    "/github-token-broker/app/installation-id",
    "/github-token-broker/app/private-key-pem",
];

/// The ID of the KMS key with the App's key material, in `us-east-1`.
pub const KMS_KEY_ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
/// The ARN of that key.
pub const KMS_KEY_ARN: &str =
    "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
/// Its alias.
pub const KMS_ALIAS: &str = "alias/github-token-broker";

/// KMS with the App's key.
pub(crate) fn kms(key: &PrivateKey) -> Kms {
    let mut kms = Kms::default();
    kms.put_key("us-east-1", KMS_KEY_ID, key);
    kms.put_alias("us-east-1", KMS_ALIAS, KMS_KEY_ID);
    kms
}

/// GitHub with one App, installed on `octo-org` with its three repositories.
pub(crate) fn github(key: &PrivateKey) -> GitHub {
    let repository = |id, name: &str, private| Repository {
        id,
        owner: "octo-org".into(),
        name: name.into(),
        private,
        former_names: Vec::new(),
    };
    let granted = [
        ("actions", "read"),
        ("contents", "write"),
        ("issues", "write"),
        ("metadata", "read"),
        ("pull_requests", "write"),
    ];
    let permissions: BTreeMap<_, _> = granted
        .map(|(name, level)| (name.to_owned(), level.to_owned()))
        .into();
    GitHub {
        apps: vec![App {
            id: 123_456,
            client_id: CLIENT_ID.into(),
            slug: "sandbox-app".into(),
            owner: "octo-org".into(),
            permissions: permissions.clone(),
            keys: vec![key.public()],
        }],
        installations: vec![Installation {
            id: INSTALLATION_ID,
            app_id: 123_456,
            account: "octo-org".into(),
            repository_ids: None,
            permissions,
            suspended: false,
            ip_allow_list: false,
        }],
        repositories: vec![
            repository(1_296_269, "octo-repo", true),
            repository(1_296_270, "other-repo", true),
            repository(1_296_271, "public-repo", false),
        ],
        ..GitHub::default()
    }
}

/// The three parameters.
pub(crate) fn parameters(key: &PrivateKey) -> [(String, Parameter); 3] {
    let [client_id, installation_id, private_key] = PARAMETERS.map(str::to_owned);
    [
        (client_id, Parameter::string(CLIENT_ID)),
        (
            installation_id,
            Parameter::string(INSTALLATION_ID.to_string()),
        ),
        (private_key, Parameter::secure_string(key.pem())),
    ]
}
