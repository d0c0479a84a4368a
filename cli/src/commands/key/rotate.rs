//! `key rotate`: the App's new private key takes the place of the old one. Each step is verified before the next, and the old
//! key stays usable until the function has minted with the new one.

use broker::{
    app::{credentials::KeySetting, private_key::PrivateKey},
    aws::kms::KmsKeyId,
    config::Config,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{import, print_outcome, read};
use crate::{
    arguments::KeyRotate,
    aws::{self, AwsError, lambda::Outcome, operator::CallError, session::Session},
    check::{
        Options, app,
        function::{self, Deployed},
        parameters,
        report::{Finding, Report, Status},
        role,
    },
    error::Error,
    github::client::GitHub,
    interrupt::Interrupt,
    key::{self, AppKey, KeyError},
    output::print_diagnostic,
    response::Grant,
    settings::Settings,
};

pub(super) fn run(settings: &Settings, arguments: &KeyRotate) -> Result<(), Error> {
    let pem = read(arguments.file.as_deref())?;
    let key = AppKey::parse(&pem)?;
    let mut log = Log {
        is_json: settings.json,
        ..Log::default()
    };
    let rotated = aws::block_on(rotate(
        settings,
        arguments.key_id.as_deref(),
        &pem,
        &key,
        &mut log,
    ))?;
    if settings.json {
        let result =
            json!({ "done": log.done, "left": log.left, "fingerprint": key.fingerprint() });
        log.print(&result.to_string());
    } else {
        let left = std::mem::take(&mut log.left);
        if !left.is_empty() {
            log.print("");
            log.print("Left for you to do, in this order:");
        }
        for (number, step) in (1..).zip(left) {
            log.print(&format!("{number}. {step}"));
        }
    }
    rotated.and(log.write_error.map_or(Ok(()), Err))
}

/// What was done, and what the operator has to do.
#[derive(Default)]
struct Log {
    is_json: bool,
    done: Vec<String>,
    left: Vec<String>,
    /// Why stdout has not everything. It does not end the rotation.
    write_error: Option<Error>,
}

impl Log {
    fn done(&mut self, step: impl Into<String>) {
        let step = step.into();
        if !self.is_json {
            self.print(&format!("done: {step}"));
        }
        self.done.push(step);
    }

    /// One line on stdout. If stdout is closed or full, on stderr.
    fn print(&mut self, line: &str) {
        if self.write_error.is_some() {
            print_diagnostic(line);
        } else {
            self.write_error = print_outcome(&format!("{line}\n")).err();
        }
    }

    fn left(&mut self, step: impl Into<String>) {
        self.left.push(step.into());
    }
}

/// The change that makes the function use a different key.
struct Switch<Request> {
    to_new: Request,
    to_old: Request,
    /// What is done after the first request.
    done: String,
    /// The command that continues after the second request.
    retry: String,
    /// What to do if the second request fails.
    undo: String,
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

    let old = match &rotation.config.app.key {
        KeySetting::Kms(id, endpoint) => {
            let kms = rotation.session.in_region(&endpoint.region);
            let body = kms
                .kms("DescribeKey", &json!({ "KeyId": id.as_str() }))
                .await?;
            let old = OldKey {
                arn: text(&body["KeyMetadata"]["Arn"])?,
                fingerprint: fingerprint_of(&kms, id.as_str()).await?,
            };
            rotation
                .accept(pem, key, Some(&old.fingerprint), log)
                .await?;
            rotation.in_kms(&kms, id, old, key_id, key, log).await?
        }
        KeySetting::Parameter(name) => {
            let name = name.as_str().split(':').next().unwrap_or_default();
            let request = json!({ "Name": name, "WithDecryption": true });
            let body = rotation.session.ssm("GetParameter", &request).await?;
            let old = SecretString::from(text(&body["Parameter"]["Value"])?);
            // An old key that cannot be read is replaced all the same: it is what makes a rotation urgent.
            let fingerprint = AppKey::parse(&old).ok().map(|old| old.fingerprint());
            rotation.accept(pem, key, fingerprint.as_ref(), log).await?;
            rotation.in_ssm(name, &old, pem, log).await?;
            Some(fingerprint.unwrap_or_else(|| "its fingerprint is unknown".to_owned()))
        }
    };
    if let Some(old) = old {
        log.left(format!(
            "Delete the old key ({old}) on the App's settings page, under Private keys"
        ));
    }
    log.left("Delete the PEM file of the new key");
    Ok(())
}

/// The KMS key that the function has signed with so far.
struct OldKey {
    arn: String,
    fingerprint: String,
}

impl Rotation<'_> {
    /// The key is a new one, and GitHub knows it.
    async fn accept(
        &self,
        pem: &SecretString,
        key: &AppKey,
        old: Option<&String>,
        log: &mut Log,
    ) -> Result<(), Error> {
        let fingerprint = key.fingerprint();
        if old == Some(&fingerprint) {
            return Err(KeyError::NotReady {
                detail: format!("the function uses this key already ({fingerprint})"),
                remedy: "Create a new private key on the App's settings page".to_owned(),
            }
            .into());
        }
        let key = PrivateKey::parse(pem).map_err(|error| KeyError::NotAKey(error.to_string()))?;
        self.verify(&app::Signer::PrivateKey(key)).await?;
        log.done(format!("GitHub accepts the new key ({fingerprint})"));
        Ok(())
    }

    async fn verify(&self, signer: &app::Signer) -> Result<(), Error> {
        let verified = app::verify_key(&self.session, &self.config, self.settings, signer).await;
        Ok(verified.map_err(|finding| refused(&finding))?)
    }

    /// Returns the fingerprint of the old key, if the function uses the new one now.
    async fn in_kms(
        &self,
        kms: &Session,
        id: &KmsKeyId,
        old: OldKey,
        key_id: Option<&str>,
        key: &AppKey,
        log: &mut Log,
    ) -> Result<Option<String>, Error> {
        let arn = self.new_kms_key(kms, key_id, key, log).await?;
        let signer = app::Signer::Kms {
            session: Box::new(kms.clone()),
            id: arn.clone(),
        };
        self.verify(&signer).await?;
        log.done(format!("KMS signs with the new key, {arn}"));
        let old_arn = old.arn;
        let Some(alias) = alias_of(id.as_str()) else {
            // IAM takes minutes to propagate the permission, so the old key signs until then.
            log.left(format!("Set the Terraform input signing_key_arns = [\"{old_arn}\", \"{arn}\"], apply, and wait 5 minutes. The first key signs"));
            log.left(format!("Set signing_key_arns = [\"{arn}\", \"{old_arn}\"], apply, and run `github-token-broker check --mint`. If it fails, go back to step 1"));
            log.left(format!("Set signing_key_arns = [\"{arn}\"], and apply"));
            log.left(format!(
                "Disable the old KMS key, and later schedule its deletion: {old_arn}"
            ));
            return Ok(Some(old.fingerprint));
        };
        if role::can_sign(&self.session, &self.deployed, &arn).await == Some(false) {
            log.left(format!("Allow kms:Sign on {arn} to the function's role"));
            log.left(format!(
                "Continue: github-token-broker key rotate --key-id {arn} < NEW.pem"
            ));
            return Err(KeyError::NotReady {
                detail: format!("the function's role is not allowed to sign with {arn} yet, and the function still uses the old key"),
                remedy: "Do what is left, in this order".to_owned(),
            }
            .into());
        }
        let point_to = |target: &str| json!({ "AliasName": alias, "TargetKeyId": target });
        let (to_new, to_old) = (point_to(&arn), point_to(&old_arn));
        let switch = Switch {
            to_new: kms.kms("UpdateAlias", &to_new),
            to_old: kms.kms("UpdateAlias", &to_old),
            done: format!("{alias} names the new key"),
            retry: format!("github-token-broker key rotate --key-id {arn} NEW.pem"),
            undo: format!(
                "Run: aws kms update-alias --alias-name {alias} --target-key-id {old_arn}"
            ),
        };
        self.switch(switch, log).await?;
        log.left(format!(
            "Remove kms:Sign on the old KMS key from the function's role, disable the key, and later schedule its deletion: {old_arn}"
        ));
        Ok(Some(old.fingerprint))
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
                log.done(format!("{arn} holds the new key"));
                return Ok(arn);
            }
        }
        let arn = import::into_kms(kms, key, key_id, None).await?;
        log.done(format!("the new key is in KMS, {arn}"));
        Ok(arn)
    }

    async fn in_ssm(
        &self,
        name: &str,
        old: &SecretString,
        pem: &SecretString,
        log: &mut Log,
    ) -> Result<(), Error> {
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
        let (to_new, to_old) = (put(pem), put(old));
        let switch = Switch {
            to_new: self.session.ssm("PutParameter", &to_new),
            to_old: self.session.ssm("PutParameter", &to_old),
            done: format!("{name} contains the new key"),
            retry: "github-token-broker key rotate NEW.pem".to_owned(),
            undo: format!(
                "Store the previous version again, which this shows: aws ssm get-parameter-history --name {name} --with-decryption"
            ),
        };
        self.switch(switch, log).await
    }

    /// Makes the function use the new key, and the old one again if it does not mint. No signal stops this in between.
    async fn switch<Request>(&self, switch: Switch<Request>, log: &mut Log) -> Result<(), Error>
    where
        Request: Future<Output = Result<Value, CallError>>,
    {
        let mut interrupt = Interrupt::listen()?;
        let proof = match switch.to_new.await {
            Ok(_) => {
                log.done(switch.done);
                self.mint(&mut interrupt).await
            }
            Err(error) if is_without_effect(&error) => return Err(error.into()),
            Err(error) => Err(error.into()),
        };
        let Err(why) = proof else {
            log.done("the function minted a token with the new key; the token is revoked");
            return Ok(());
        };
        let why = Box::new(why);
        Err(match switch.to_old.await {
            Ok(_) => KeyError::RolledBack {
                why,
                retry: switch.retry,
            },
            Err(error) => KeyError::RollbackFailed {
                why,
                rollback: Box::new(error.into()),
                remedy: switch.undo,
            },
        }
        .into())
    }

    /// One real token, revoked at once.
    async fn mint(&self, interrupt: &mut Interrupt) -> Result<(), Error> {
        let outcome = interrupt.or(self.session.invoke(&self.settings.function));
        let grant = match outcome.await? {
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

/// Whether AWS has certainly not done what it was asked to do.
fn is_without_effect(error: &CallError) -> bool {
    match error {
        CallError::Malformed { .. } => false,
        CallError::Aws(AwsError::Http(error)) => error.is_unsent(),
        CallError::Refused { .. } | CallError::Aws(_) => true,
    }
}

async fn fingerprint_of(kms: &Session, id: &str) -> Result<String, Error> {
    let public: Value = kms.kms("GetPublicKey", &json!({ "KeyId": id })).await?;
    let fingerprint = public["PublicKey"]
        .as_str()
        .and_then(key::fingerprint_of_base64);
    Ok(fingerprint.ok_or_else(|| CallError::Malformed {
        action: "kms:GetPublicKey".to_owned(),
    })?)
}

/// A text that AWS always returns.
fn text(value: &Value) -> Result<String, CallError> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| CallError::Malformed {
        action: "the function's key".to_owned(),
    })
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
