//! `key rotate`: the App's new private key takes the place of the old one. Each step is verified before the next, and the old
//! key stays usable until the function has minted with the new one.

use base64ct::{Base64, Encoding as _};
use broker::{
    app::{credentials::KeySetting, private_key::PrivateKey},
    aws::kms::KmsKeyId,
    config::Config,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{import, print, read};
use crate::{
    arguments::KeyRotate,
    aws::{self, lambda::Outcome, session::Session},
    check::{
        Options, app,
        function::{self, Deployed},
        parameters,
        report::{Finding, Report, Status},
        role,
    },
    error::Error,
    github::client::GitHub,
    key::{self, AppKey, KeyError},
    response::Grant,
    settings::Settings,
};

pub(super) fn run(settings: &Settings, arguments: &KeyRotate) -> Result<(), Error> {
    let pem = read(arguments.file.as_deref())?;
    let key = AppKey::parse(&pem)?;
    let mut log = Log {
        is_json: settings.json,
        done: Vec::new(),
        left: Vec::new(),
    };
    let rotated = aws::block_on(rotate(
        settings,
        arguments.key_id.as_deref(),
        &pem,
        &key,
        &mut log,
    ))?;
    if settings.json {
        print(&format!(
            "{}\n",
            json!({ "done": log.done, "left": log.left, "fingerprint": key.fingerprint() })
        ))?;
    } else {
        for (number, step) in (1..).zip(&log.left) {
            print(&format!("left {number}: {step}\n"))?;
        }
    }
    rotated
}

/// What was done, and what the operator has to do.
struct Log {
    is_json: bool,
    done: Vec<String>,
    left: Vec<String>,
}

impl Log {
    fn done(&mut self, step: impl Into<String>) -> Result<(), Error> {
        let step = step.into();
        if !self.is_json {
            print(&format!("done: {step}\n"))?;
        }
        self.done.push(step);
        Ok(())
    }

    fn left(&mut self, step: impl Into<String>) {
        self.left.push(step.into());
    }
}

/// A rotation under way.
struct Rotation<'a> {
    settings: &'a Settings,
    session: Session,
    deployed: Deployed,
    config: Config,
}

async fn rotate(
    settings: &Settings,
    key_id: Option<&str>,
    pem: &SecretString,
    key: &AppKey,
    log: &mut Log,
) -> Result<(), Error> {
    let session = Session::open(settings).await?;
    let mut report = Report::default();
    let deployed = function::check(&session, settings, &Options::default(), &mut report).await;
    let deployed = deployed.ok_or_else(|| not_ready(&report))?;
    let config = deployed
        .configuration(&mut report)
        .ok_or_else(|| not_ready(&report))?;
    let rotation = Rotation {
        settings,
        session,
        deployed,
        config,
    };

    let private = PrivateKey::parse(pem).map_err(|error| KeyError::NotAKey(error.to_string()))?;
    rotation.verify(&app::Signer::PrivateKey(private)).await?;
    log.done(format!(
        "GitHub accepts the new key ({})",
        key.fingerprint()
    ))?;
    let old = match &rotation.config.app.key {
        KeySetting::Kms(id, endpoint) => {
            let kms = rotation.session.in_region(&endpoint.region);
            rotation.in_kms(&kms, id, key_id, key, log).await?
        }
        KeySetting::Parameter(name) => rotation.in_ssm(name.as_str(), pem, key, log).await?,
    };
    if let Some(old) = old {
        log.left(format!(
            "delete the old key ({old}) on the App's settings page, under Private keys"
        ));
        log.left("delete the PEM file of the new key");
    }
    Ok(())
}

impl Rotation<'_> {
    async fn verify(&self, signer: &app::Signer) -> Result<(), Error> {
        let verified = app::verify_key(&self.session, &self.config, self.settings, signer).await;
        Ok(verified.map_err(|finding| refused(&finding))?)
    }

    /// Returns the fingerprint of the old key, if the function uses the new one now.
    async fn in_kms(
        &self,
        kms: &Session,
        id: &KmsKeyId,
        key_id: Option<&str>,
        key: &AppKey,
        log: &mut Log,
    ) -> Result<Option<String>, Error> {
        let old = kms
            .kms("DescribeKey", &json!({ "KeyId": id.as_str() }))
            .await?;
        let old_arn = old["KeyMetadata"]["Arn"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let old_fingerprint = fingerprint_of(kms, id.as_str()).await?;
        if old_fingerprint == key.fingerprint() {
            return Err(KeyError::NotReady {
                detail: format!("the function uses this key already ({old_fingerprint})"),
                remedy: "Create a new private key on the App's settings page".to_owned(),
            }
            .into());
        }
        let arn = self.new_kms_key(kms, key_id, key, log).await?;
        let signer = app::Signer::Kms {
            session: Box::new(kms.clone()),
            id: arn.clone(),
        };
        self.verify(&signer).await?;
        log.done(format!("KMS signs with the new key, {arn}"))?;
        let Some(alias) = alias_of(id.as_str()) else {
            log.left(format!("in Terraform: signing_key_arns = [\"{arn}\", \"{old_arn}\"]: the function signs with the first one"));
            log.left("apply, then run `github-token-broker check --mint`");
            log.left(format!("delete the old key ({old_fingerprint}) on the App's settings page, and schedule the deletion of {old_arn}"));
            return Ok(None);
        };
        if role::can_sign(&self.session, &self.deployed, &arn).await == Some(false) {
            log.left(format!(
                "in Terraform: signing_key_arns = [\"{arn}\", \"{old_arn}\"], then apply"
            ));
            log.left(format!(
                "continue: github-token-broker key rotate --key-id {arn} < NEW.pem"
            ));
            return Err(KeyError::NotReady {
                detail: format!("the function's role may not sign with {arn} yet; the function still uses the old key"),
                remedy: "Do what is left, in this order".to_owned(),
            }
            .into());
        }
        let point_to = |target: &str| json!({ "AliasName": alias, "TargetKeyId": target });
        kms.kms("UpdateAlias", &point_to(&arn)).await?;
        log.done(format!("{alias} is the new key"))?;
        if let Err(mint) = self.mint().await {
            return Err(match kms.kms("UpdateAlias", &point_to(&old_arn)).await {
                Ok(_) => KeyError::RolledBack(Box::new(mint)),
                Err(error) => KeyError::RollbackFailed {
                    mint: Box::new(mint),
                    rollback: Box::new(error.into()),
                    remedy: format!(
                        "Run: aws kms update-alias --alias-name {alias} --target-key-id {old_arn}"
                    ),
                },
            }
            .into());
        }
        log.done("the function minted a token with the new key; the token is revoked")?;
        log.left(format!(
            "in Terraform: signing_key_arns = [\"{arn}\"], then apply"
        ));
        log.left(format!(
            "disable the old KMS key, and schedule its deletion: {old_arn}"
        ));
        Ok(Some(old_fingerprint))
    }

    /// A KMS key with the new private key. One that holds it already is used as it is: that continues an earlier run.
    async fn new_kms_key(
        &self,
        kms: &Session,
        key_id: Option<&str>,
        key: &AppKey,
        log: &mut Log,
    ) -> Result<String, Error> {
        if let Some(id) = key_id {
            let metadata =
                kms.kms("DescribeKey", &json!({ "KeyId": id })).await?["KeyMetadata"].clone();
            let arn = metadata["Arn"].as_str().unwrap_or(id).to_owned();
            if metadata["KeyState"] == "Enabled" {
                if fingerprint_of(kms, id).await? != key.fingerprint() {
                    return Err(KeyError::Different { arn }.into());
                }
                log.done(format!("{arn} holds the new key"))?;
                return Ok(arn);
            }
        }
        let arn = import::into_kms(kms, key, key_id, None).await?;
        log.done(format!("the new key is in KMS, {arn}"))?;
        Ok(arn)
    }

    async fn in_ssm(
        &self,
        name: &str,
        pem: &SecretString,
        key: &AppKey,
        log: &mut Log,
    ) -> Result<Option<String>, Error> {
        let name = name.split(':').next().unwrap_or(name);
        let read = self
            .session
            .ssm(
                "GetParameter",
                &json!({ "Name": name, "WithDecryption": true }),
            )
            .await?;
        let old = SecretString::from(read["Parameter"]["Value"].as_str().unwrap_or_default());
        // An old key that cannot be read is replaced all the same: it is what makes a rotation urgent.
        let old_fingerprint = AppKey::parse(&old).ok().map(|old| old.fingerprint());
        if old_fingerprint.as_ref() == Some(&key.fingerprint()) {
            return Err(KeyError::NotReady {
                detail: format!("{name} contains this key already ({})", key.fingerprint()),
                remedy: "Create a new private key on the App's settings page".to_owned(),
            }
            .into());
        }
        let mut report = Report::default();
        let key_id = parameters::key_of(&self.session, name, &mut report).await;
        if let Some(skipped) = report
            .checks
            .iter()
            .find(|finding| finding.status == Status::Skip)
        {
            return Err(refused(skipped).into());
        }
        let put = |value: &SecretString| {
            let mut request = json!({ "Name": name, "Type": "SecureString", "Value": value.expose_secret(), "Overwrite": true });
            if let Some(key_id) = &key_id {
                request["KeyId"] = key_id.as_str().into();
            }
            request
        };
        self.session.ssm("PutParameter", &put(pem)).await?;
        log.done(format!("{name} contains the new key"))?;
        if let Err(mint) = self.mint().await {
            return Err(match self.session.ssm("PutParameter", &put(&old)).await {
                Ok(_) => KeyError::RolledBack(Box::new(mint)),
                Err(error) => KeyError::RollbackFailed {
                    mint: Box::new(mint),
                    rollback: Box::new(error.into()),
                    remedy: format!("Store the previous version of {name} again"),
                },
            }
            .into());
        }
        log.done("the function minted a token with the new key; the token is revoked")?;
        Ok(Some(old_fingerprint.unwrap_or_else(|| {
            "its fingerprint is unknown".to_owned()
        })))
    }

    /// One real token, revoked at once.
    async fn mint(&self) -> Result<(), Error> {
        let grant = match self.session.invoke(&self.settings.function).await? {
            Outcome::Response(body) => Grant::parse(&body)?,
            Outcome::FunctionError(line) => return Err(Error::Function(line)),
        };
        let api = self.config.api_base.to_string();
        let github = GitHub::at(
            &api,
            &self.settings.host,
            &grant.token,
            self.settings.diagnostics,
        );
        if let Err(error) = github.revoke().await {
            self.settings.diagnostics.warn(format_args!(
                "the token was not revoked and expires at {}: {error}",
                grant.expires_at
            ));
        }
        Ok(())
    }
}

async fn fingerprint_of(kms: &Session, id: &str) -> Result<String, Error> {
    let public: Value = kms.kms("GetPublicKey", &json!({ "KeyId": id })).await?;
    let der = public["PublicKey"]
        .as_str()
        .and_then(|text| Base64::decode_vec(text).ok());
    Ok(key::fingerprint(&der.unwrap_or_default()))
}

/// `alias/NAME`, from that or from an alias ARN.
fn alias_of(id: &str) -> Option<&str> {
    id.find("alias/").map(|at| &id[at..])
}

fn not_ready(report: &Report) -> KeyError {
    let problem = report.checks.iter().find(|finding| {
        [Status::Fail, Status::Skip].contains(&finding.status) && finding.id != "function.code"
    });
    problem.map_or_else(
        || KeyError::NotReady {
            detail: "the function cannot be inspected".to_owned(),
            remedy: "Run `check`".to_owned(),
        },
        refused,
    )
}

fn refused(finding: &Finding) -> KeyError {
    KeyError::NotReady {
        detail: finding.detail.clone(),
        remedy: finding.remedy.clone().unwrap_or_default(),
    }
}
