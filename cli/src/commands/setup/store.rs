//! Where the App's private key goes: a KMS key, or an SSM parameter next to those of the two IDs.
//!
//! Everything that can be refused is tried before GitHub shows the private key: the KMS key is created, or the parameters are
//! reserved. What is not used in the end is removed.

use broker::app::private_key::PrivateKey;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::Unfinished;
use crate::{
    arguments::{PARAMETERS, Setup},
    aws::{operator::CallError, session::Session},
    check::app::Signer,
    commands::key::import::{self, ImportParameters},
    error::Error,
    interrupt::Interrupt,
    key::{AppKey, KeyError},
    manifest::NewApp,
    output::print_diagnostic,
};

/// GitHub creates keys of this kind for Apps.
const SPEC: &str = "RSA_2048";

/// The value of a parameter until its own is known.
const RESERVED: &str = "reserved by github-token-broker setup, which has not finished";

/// What takes the key.
pub(super) enum Store {
    /// A KMS key that signs.
    Kms(KmsKey),
    /// Three parameters.
    Ssm(Parameters),
}

/// A KMS key, empty at first.
pub(super) struct KmsKey {
    arn: String,
    is_new: bool,
    parameters: ImportParameters,
}

/// The three parameters.
pub(super) struct Parameters {
    path: String,
    /// The key that encrypts the private key.
    key: EncryptionKey,
    /// The names that this command created, as long as nothing depends on them.
    reserved: Vec<String>,
    /// The names that existed before. While there are any, a broker might use them: the new values wait for the installation.
    existing: Vec<String>,
    /// Those of them that have, or might have, a new value.
    overwritten: Vec<String>,
    has_key: bool,
}

struct EncryptionKey {
    arn: String,
    /// `aws/ssm`, which the function can use without a permission of its own.
    is_aws_managed: bool,
}

impl Store {
    /// Creates what the private key needs.
    pub(super) async fn prepare(
        session: &Session,
        arguments: &Setup,
        interrupt: &mut Interrupt,
    ) -> Result<Self, Unfinished> {
        match (&arguments.ssm, &arguments.key_id) {
            (Some(path), Some(key_id)) => {
                let key = interrupt.or(encryption_key(session, key_id)).await?;
                let mut parameters = Parameters {
                    path: path.clone(),
                    key,
                    reserved: Vec::new(),
                    existing: Vec::new(),
                    overwritten: Vec::new(),
                    has_key: false,
                };
                let reserved = parameters.reserve(session, arguments.overwrite, interrupt);
                match reserved.await {
                    Ok(()) => Ok(Self::Ssm(parameters)),
                    Err(error) => Err(Unfinished::new(error, parameters.discard(session).await)),
                }
            }
            (_, Some(id)) => {
                let arn = interrupt.or(import::empty_key(session, id, SPEC)).await?;
                let parameters = import::import_parameters(session, &arn);
                let parameters = interrupt.or(parameters).await?;
                Ok(Self::Kms(KmsKey {
                    arn,
                    is_new: false,
                    parameters,
                }))
            }
            (_, None) => {
                interrupt.check().await?;
                print_diagnostic(import::COST);
                let arn = import::create_key(session, SPEC).await?;
                match interrupt.or(import::import_parameters(session, &arn)).await {
                    Ok(parameters) => Ok(Self::Kms(KmsKey {
                        arn,
                        is_new: true,
                        parameters,
                    })),
                    Err(error) => Err(Unfinished::new(
                        error,
                        vec![import::discard(session, &arn, true).await],
                    )),
                }
            }
        }
    }

    /// Stores the private key, except over one that exists. Returns what signs with it.
    pub(super) async fn import(
        &mut self,
        session: &Session,
        app: &NewApp,
        key: &AppKey,
    ) -> Result<Signer, Error> {
        match self {
            Self::Kms(kms) => {
                import::import_material(session, &kms.arn, &kms.parameters, key).await?;
                Ok(Signer::Kms {
                    session: Box::new(session.clone()),
                    id: kms.arn.clone(),
                })
            }
            Self::Ssm(parameters) => {
                if parameters.existing.is_empty() {
                    parameters.write_app(session, app).await?;
                    // They are not for the clean-up any more: the private key exists only there.
                    parameters.reserved.clear();
                }
                let key = PrivateKey::parse(&app.pem);
                let key = key.map_err(|error| KeyError::NotAKey(error.to_string()))?;
                Ok(Signer::PrivateKey(key))
            }
        }
    }

    /// Stores what is known at the end.
    pub(super) async fn finish(
        &mut self,
        session: &Session,
        app: &NewApp,
        installation_id: u64,
    ) -> Result<(), Error> {
        match self {
            Self::Kms(_) => Ok(()),
            Self::Ssm(parameters) => {
                if !parameters.existing.is_empty() {
                    parameters.write_app(session, app).await?;
                }
                let id = installation_id.to_string();
                Ok(parameters.write(session, "installation-id", &id).await?)
            }
        }
    }

    /// Removes what has no key. Says what is left, line by line.
    pub(super) async fn discard(&self, session: &Session) -> Vec<String> {
        match self {
            Self::Kms(kms) => vec![import::discard(session, &kms.arn, kms.is_new).await],
            Self::Ssm(parameters) => parameters.discard(session).await,
        }
    }

    /// What exists once the key is stored, and how to remove it.
    pub(super) fn remains(&self) -> Vec<String> {
        match self {
            Self::Kms(kms) => vec![format!(
                "The KMS key {arn} has the private key. To remove it: aws kms schedule-key-deletion --key-id {arn}",
                arn = kms.arn
            )],
            Self::Ssm(parameters) => parameters.remains(),
        }
    }

    /// Whether the private key is stored.
    pub(super) fn has_key(&self) -> bool {
        match self {
            Self::Kms(_) => true,
            Self::Ssm(parameters) => parameters.has_key,
        }
    }

    /// What Terraform needs to know, in addition to the client ID and the installation ID.
    pub(super) fn terraform_inputs(&self) -> String {
        match self {
            Self::Kms(kms) => format!("signing_key_arns = [\"{}\"]", kms.arn),
            Self::Ssm(parameters) => format!(
                "the parameters below {path}, and store both IDs in {path}/client-id and {path}/installation-id",
                path = parameters.path
            ),
        }
    }

    /// The inputs of the Terraform module that say where the App's credentials are.
    pub(super) fn inputs(&self, client_id: &str, installation_id: u64) -> Vec<(&str, String)> {
        let quoted = |text: &str| format!("\"{text}\"");
        match self {
            Self::Kms(kms) => vec![
                ("client_id", quoted(client_id)),
                ("installation_id", quoted(&installation_id.to_string())),
                ("signing_key_arns", format!("[\"{}\"]", kms.arn)),
            ],
            Self::Ssm(parameters) if parameters.key.is_aws_managed => Vec::new(),
            Self::Ssm(parameters) => vec![("kms_key_arn", quoted(&parameters.key.arn))],
        }
    }

    /// The names of the parameters, if they are not the module's defaults.
    pub(super) fn parameter_paths(&self) -> Option<[String; 3]> {
        match self {
            Self::Ssm(parameters) if parameters.path != PARAMETERS => Some(parameters.names()),
            _ => None,
        }
    }

    /// The options of `key import` that store a key in the same place.
    pub(super) fn import_options(&self) -> String {
        match self {
            Self::Kms(_) => String::new(),
            Self::Ssm(parameters) => {
                let name = parameters.name("private-key-pem");
                let overwrite = if parameters.existing.contains(&name) {
                    " --overwrite"
                } else {
                    ""
                };
                format!(
                    " --ssm {name} --kms-key-id {}{overwrite}",
                    parameters.key.arn
                )
            }
        }
    }

    /// Where the private key is.
    pub(super) fn state(&self) -> &'static str {
        match self {
            Self::Kms(_) => "KMS has its private key",
            Self::Ssm(parameters) if parameters.has_key => "SSM has its private key",
            Self::Ssm(_) => "SSM gets its private key after the installation",
        }
    }

    /// Adds the place of the key to the result.
    pub(super) fn describe(&self, result: &mut Value) {
        match self {
            Self::Kms(kms) => result["key_arn"] = kms.arn.as_str().into(),
            Self::Ssm(parameters) => {
                result["parameters"] = json!(parameters.names());
                result["kms_key_arn"] = parameters.key.arn.as_str().into();
            }
        }
    }
}

impl Parameters {
    fn name(&self, parameter: &str) -> String {
        format!("{}/{parameter}", self.path)
    }

    /// Client ID, installation ID, private key: the order of the module's input.
    fn names(&self) -> [String; 3] {
        ["client-id", "installation-id", "private-key-pem"].map(|name| self.name(name))
    }

    /// Creates the parameters that do not exist. This proves the permissions, and nobody else can take the names meanwhile.
    async fn reserve(
        &mut self,
        session: &Session,
        overwrite: bool,
        interrupt: &mut Interrupt,
    ) -> Result<(), Error> {
        for parameter in ["private-key-pem", "client-id", "installation-id"] {
            interrupt.check().await?;
            let name = self.name(parameter);
            match self.put(session, parameter, RESERVED, false).await {
                Ok(()) => self.reserved.push(name),
                Err(error) if error.code() == Some("ParameterAlreadyExists") => {
                    if !overwrite {
                        return Err(KeyError::ParameterExists(name).into());
                    }
                    if parameter == "private-key-pem" {
                        interrupt.or(expect_secure_string(session, &name)).await?;
                    }
                    self.existing.push(name);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn write_app(&mut self, session: &Session, app: &NewApp) -> Result<(), CallError> {
        self.write(session, "private-key-pem", app.pem.expose_secret())
            .await?;
        self.write(session, "client-id", &app.client_id).await
    }

    /// Stores a value for good. If AWS refuses, it is not stored; if there is no response, it might be.
    async fn write(
        &mut self,
        session: &Session,
        parameter: &str,
        value: &str,
    ) -> Result<(), CallError> {
        let written = self.put(session, parameter, value, true).await;
        let is_refused = written.as_ref().is_err_and(|error| error.code().is_some());
        if !is_refused {
            let name = self.name(parameter);
            if self.existing.contains(&name) {
                self.overwritten.push(name);
            }
            self.has_key |= parameter == "private-key-pem";
        }
        written
    }

    /// What exists once the key is stored. What existed before must not be deleted: a broker might use it.
    fn remains(&self) -> Vec<String> {
        let is_new = |name: &String| !self.existing.contains(name);
        let new: Vec<_> = self.names().into_iter().filter(is_new).collect();
        let mut remains = Vec::new();
        if !new.is_empty() {
            remains.push(format!(
                "These SSM parameters are new. To remove them: aws ssm delete-parameters --names {}",
                new.join(" ")
            ));
        }
        remains.extend(self.overwritten.iter().map(|name| {
            format!(
                "The SSM parameter {name} is overwritten. SSM keeps its previous version: \
                 aws ssm get-parameter-history --name {name} --with-decryption"
            )
        }));
        remains
    }

    async fn put(
        &self,
        session: &Session,
        parameter: &str,
        value: &str,
        overwrite: bool,
    ) -> Result<(), CallError> {
        let mut request =
            json!({ "Name": self.name(parameter), "Value": value, "Overwrite": overwrite });
        if parameter == "private-key-pem" {
            request["Type"] = "SecureString".into();
            request["KeyId"] = self.key.arn.as_str().into();
        } else if !overwrite {
            // SSM refuses a change of the type, so an existing ID keeps its own.
            request["Type"] = "String".into();
        }
        session.ssm("PutParameter", &request).await.map(|_| ())
    }

    async fn discard(&self, session: &Session) -> Vec<String> {
        let mut left = Vec::new();
        for name in &self.reserved {
            let deleted = session
                .ssm("DeleteParameter", &json!({ "Name": name }))
                .await;
            left.push(match deleted {
                Ok(_) => format!("The new SSM parameter {name} is deleted again"),
                Err(_) => format!("The SSM parameter {name} exists without a value. To remove it: aws ssm delete-parameter --name {name}"),
            });
        }
        left
    }
}

async fn expect_secure_string(session: &Session, name: &str) -> Result<(), Error> {
    let read = session
        .ssm("GetParameter", &json!({ "Name": name }))
        .await?;
    match read["Parameter"]["Type"].as_str() {
        Some("SecureString") => Ok(()),
        other => Err(KeyError::WrongType {
            kind: other.unwrap_or("unknown").to_owned(),
            name: name.to_owned(),
        }
        .into()),
    }
}

/// The key must be able to encrypt.
async fn encryption_key(session: &Session, id: &str) -> Result<EncryptionKey, Error> {
    let body = session.kms("DescribeKey", &json!({ "KeyId": id })).await?;
    let metadata = &body["KeyMetadata"];
    let text = |name: &str| metadata[name].as_str().unwrap_or("unknown");
    let arn = text("Arn").to_owned();
    let why = if text("KeySpec") != "SYMMETRIC_DEFAULT" {
        format!("its spec is {}, not SYMMETRIC_DEFAULT", text("KeySpec"))
    } else if text("KeyState") != "Enabled" {
        format!("its state is {}, not Enabled", text("KeyState"))
    } else {
        let is_aws_managed = text("KeyManager") == "AWS";
        return Ok(EncryptionKey {
            arn,
            is_aws_managed,
        });
    };
    Err(KeyError::CannotEncrypt { arn, why }.into())
}
