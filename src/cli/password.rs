//! Where a new password comes from: never from the command line, which other users of the machine can read.

use std::io::{self, IsTerminal};

use crate::{
    error::{Error, Result},
    users,
};

/// How long a password is that is made up: 100 random bits.
const GENERATED_LENGTH: usize = 20;

/// How the operator gives a password.
#[derive(clap::Args)]
#[group(multiple = false)]
pub(super) struct PasswordSource {
    /// Read the password from the first line of standard input.
    #[arg(long)]
    password_stdin: bool,
    /// Make up a password and print it.
    #[arg(long)]
    generate_password: bool,
}

/// A password and whether the operator has yet to learn it.
pub(super) enum NewPassword {
    /// The operator gave it.
    Given(String),
    /// It was made up.
    Generated(String),
}

impl NewPassword {
    /// The password itself.
    pub(super) fn reveal(&self) -> &str {
        match self {
            Self::Given(password) | Self::Generated(password) => password,
        }
    }

    /// Prints the password if nobody knows it yet.
    pub(super) fn print_if_generated(&self) {
        if let Self::Generated(password) = self {
            println!("The password is {password} and is not shown again.");
        }
    }
}

impl PasswordSource {
    /// Gets the password: asks for it twice on a terminal if nothing else was said.
    ///
    /// # Errors
    ///
    /// When there is nobody to ask, or the two answers differ.
    pub(super) fn read(&self) -> Result<NewPassword> {
        if self.generate_password {
            return Ok(NewPassword::Generated(users::random_text(GENERATED_LENGTH)));
        }
        if self.password_stdin {
            let mut line = String::new();
            io::stdin().read_line(&mut line).map_err(Error::internal)?;
            return Ok(NewPassword::Given(line.trim_end_matches(['\r', '\n']).to_owned()));
        }
        if !io::stdin().is_terminal() {
            return Err(Error::invalid(
                "nobody is here to type a password: use --password-stdin or --generate-password",
            ));
        }
        let password = rpassword::prompt_password("Password: ").map_err(Error::internal)?;
        if rpassword::prompt_password("The same again: ").map_err(Error::internal)? != password {
            return Err(Error::invalid("the two passwords differ"));
        }
        Ok(NewPassword::Given(password))
    }
}
