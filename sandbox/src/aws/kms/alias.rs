//! Aliases of KMS keys.

use serde_json::{Value, json};

use super::Kms;
use super::key::KeyState;
use crate::aws::ACCOUNT;
use crate::aws::error::{AwsError, required};

#[derive(Debug, Clone)]
pub(super) struct Alias {
    pub(super) region: String,
    /// With its prefix `alias/`.
    pub(super) name: String,
    pub(super) key_id: String,
    created: i64,
    updated: i64,
}

impl Kms {
    /// Creates or moves an alias, which begins with `alias/`.
    pub fn put_alias(&mut self, region: &str, name: &str, key_id: &str) {
        let now = self.clock.now();
        self.aliases
            .retain(|alias| alias.region != region || alias.name != name);
        self.aliases.push(Alias {
            region: region.to_owned(),
            name: name.to_owned(),
            key_id: key_id.to_owned(),
            created: now,
            updated: now,
        });
    }

    /// Performs `CreateAlias`, `UpdateAlias` or `DeleteAlias`.
    pub(super) fn change_alias(
        &mut self,
        region: &str,
        operation: &str,
        input: &Value,
    ) -> Result<Value, AwsError> {
        let name = required(input, "AliasName")?;
        if !name.starts_with("alias/") || name == "alias/" {
            let message = format!("Alias must start with the prefix \"alias/\": {name}");
            return Err(AwsError::new("ValidationException", message));
        }
        if name.starts_with("alias/aws/") {
            return Err(AwsError::new("NotAuthorizedException", ""));
        }
        let arn = alias_arn(region, name);
        let existing = self
            .aliases
            .iter()
            .position(|alias| alias.region == region && alias.name == name);
        let index = match (operation, existing) {
            ("CreateAlias", Some(_)) => {
                let message = format!("An alias with the name {arn} already exists");
                return Err(AwsError::new("AlreadyExistsException", message));
            }
            ("CreateAlias", None) => None,
            (_, None) => {
                let message = format!("Alias {arn} is not found.");
                return Err(AwsError::new("NotFoundException", message));
            }
            (_, index) => index,
        };
        if operation == "DeleteAlias" {
            self.aliases.remove(index.expect("checked above"));
            return Ok(Value::Null);
        }
        let now = self.clock.now();
        let target = self.find_by_id(region, required(input, "TargetKeyId")?)?;
        let usable = [
            KeyState::Enabled,
            KeyState::Disabled,
            KeyState::PendingImport,
        ];
        target.expect_state(now, &usable)?;
        let key_id = target.id.clone();
        match index.map(|index| &mut self.aliases[index]) {
            Some(alias) => (alias.key_id, alias.updated) = (key_id, now),
            None => self.put_alias(region, name, &key_id),
        }
        Ok(Value::Null)
    }

    /// Performs `ListAliases`.
    pub(super) fn list_aliases(&mut self, region: &str, input: &Value) -> Result<Value, AwsError> {
        let only = match input["KeyId"].as_str() {
            Some(key_id) => Some(self.find_by_id(region, key_id)?.id.clone()),
            None => None,
        };
        let listed = self.aliases.iter().filter(|alias| {
            alias.region == region && only.as_ref().is_none_or(|only| alias.key_id == *only)
        });
        let listed = listed.map(|alias| {
            json!({
                "AliasName": alias.name,
                "AliasArn": alias_arn(region, &alias.name),
                "TargetKeyId": alias.key_id,
                "CreationDate": alias.created,
                "LastUpdatedDate": alias.updated,
            })
        });
        Ok(json!({ "Aliases": listed.collect::<Vec<_>>(), "Truncated": false }))
    }
}

/// The ARN of an alias.
pub(super) fn alias_arn(region: &str, name: &str) -> String {
    format!("arn:aws:kms:{region}:{ACCOUNT}:{name}")
}
