//! `commonroom init`: a first configuration and the server's keys.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{self, Path, PathBuf},
};

use ruma::OwnedServerName;
use toml::Value;

use super::{admin_client, display};
use crate::{
    config::{Config, EXAMPLE},
    error::{Error, Result},
    matrix::signing::SigningKey,
    server::admin::AdminRequest,
    users::Role,
};

/// What a first configuration cannot guess.
#[derive(clap::Args)]
pub(super) struct Options {
    /// The domain that user ids end with, such as example.org. It can never be changed.
    #[arg(long, value_name = "DOMAIN", value_parser = server_name)]
    server_name: OwnedServerName,
    /// The folder for the database and the keys.
    #[arg(long, value_name = "FOLDER", default_value = "data")]
    data_dir: PathBuf,
}

/// Writes the configuration to `file` and a new signing key into the data folder; overwrites nothing.
pub(super) fn run(file: &Path, options: &Options) -> Result<()> {
    let text = configuration(file, options)?;
    let folder = file.parent().unwrap_or(Path::new(""));
    // The environment is left out: what it overrides today is no part of the file.
    let config = Config::read(&text, folder, []).map_err(|e| Error::invalid(e.to_string()))?;
    for existing in [file, &config.signing_key_file(), &config.database()] {
        if existing.exists() {
            let existing = existing.display();
            return Err(Error::invalid(format!("{existing} exists already, and init overwrites nothing")));
        }
    }

    create_folder(folder)?;
    create_folder(&config.data_dir)?;
    write_secret(&config.signing_key_file(), &SigningKey::generate().serialise())?;
    write_secret(file, &text)?;

    println!("Wrote {} and {}.", file.display(), config.signing_key_file().display());
    invite_administrator(file, config)
}

/// Makes the registration token of the first administrator and says what to do with it.
fn invite_administrator(file: &Path, config: Config) -> Result<()> {
    let request =
        AdminRequest::CreateToken { token: None, uses_allowed: Some(1), expires_in: None, role: Role::Administrator };
    let token = display::response(&admin_client::ask(config, request)?, "");
    println!("Whoever registers with this token becomes the administrator. It works once:\n\n    {token}");
    println!("Start the server with: commonroom serve --config {}", file.display());
    Ok(())
}

/// The example with the two required keys filled in, so that the operator finds every key explained.
fn configuration(file: &Path, options: &Options) -> Result<String> {
    let data_dir = data_dir_from(file, &options.data_dir).map_err(|e| failed_at(&options.data_dir, &e))?;
    let data_dir = data_dir.to_str().ok_or_else(|| Error::invalid("the data folder's name is not UTF-8"))?;
    let set = |line: &str| {
        let value = match line.split_once(" = ")?.0 {
            "server_name" => options.server_name.as_str(),
            "data_dir" => data_dir,
            _ => return None,
        };
        Some(format!("{} = {}", line.split_once(" = ")?.0, Value::from(value)))
    };
    Ok(EXAMPLE.lines().map(|line| set(line).unwrap_or_else(|| line.to_owned()) + "\n").collect())
}

/// The data folder as the configuration names it: relative when it lies beside or in the configuration's own folder,
/// so that the two can be moved together.
fn data_dir_from(file: &Path, data_dir: &Path) -> io::Result<PathBuf> {
    let file = path::absolute(file)?;
    let data_dir = path::absolute(data_dir)?;
    match data_dir.strip_prefix(file.parent().unwrap_or(Path::new("/"))) {
        Ok(inside) if inside == Path::new("") => Ok(".".into()),
        Ok(inside) => Ok(inside.into()),
        Err(_) => Ok(data_dir),
    }
}

fn create_folder(folder: &Path) -> Result<()> {
    if folder == Path::new("") {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| failed_at(folder, &e))
}

/// Writes a new file that only its owner may read.
fn write_secret(file: &Path, text: &str) -> Result<()> {
    let write = || {
        let mut open = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        open.write_all(text.as_bytes())?;
        open.sync_all()
    };
    write().map_err(|e: io::Error| failed_at(file, &e))
}

fn failed_at(path: &Path, cause: &io::Error) -> Error {
    Error::internal(format!("cannot write {}: {cause}", path.display()))
}

fn server_name(text: &str) -> Result<OwnedServerName, String> {
    text.try_into().map_err(|_| "write the domain that user ids end with, such as example.org".to_owned())
}
