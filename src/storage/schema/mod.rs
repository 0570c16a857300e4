//! Every table of the server, in files by the folder that owns them. Tables are declared nowhere else.
//!
//! Ids are never reused: storage 1–9, streams 10–19, users 20–59, rooms 60–119, presence 120–129, encryption 130–149,
//! media 150–169, delivery 170–189, what comes later from 190.

pub mod appservices;
pub mod delayed_events;
pub mod delivery;
pub mod encryption;
pub mod encryption_messages;
pub mod key_backup;
pub mod media;
mod meta;
pub mod moderation;
pub mod oauth;
pub mod presence;
pub mod previews;
pub mod relations;
pub mod rooms;
pub mod streams;
pub mod third_party_ids;
pub mod users;

use super::TableInfo;
pub(super) use meta::{META, NEWEST_POSITION, SCHEMA_VERSION};

/// Every table, one list per file of this folder.
pub const ALL: &[&[TableInfo]] = &[
    appservices::TABLES,
    delayed_events::TABLES,
    delivery::TABLES,
    encryption::TABLES,
    encryption_messages::TABLES,
    key_backup::TABLES,
    media::TABLES,
    meta::TABLES,
    moderation::TABLES,
    oauth::TABLES,
    presence::TABLES,
    previews::TABLES,
    relations::TABLES,
    rooms::TABLES,
    streams::TABLES,
    third_party_ids::TABLES,
    users::TABLES,
];

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, fs, path::Path};

    use super::*;

    #[test]
    fn no_two_tables_share_an_id_or_a_name() {
        let mut ids = HashMap::new();
        let mut names = HashMap::new();
        for table in ALL.iter().copied().flatten() {
            if let Some(other) = ids.insert(table.id, table.name) {
                panic!("tables {other:?} and {:?} both have the id {}", table.name, table.id);
            }
            if let Some(other) = names.insert(table.name, table.id) {
                panic!("tables {other} and {} are both called {:?}", table.id, table.name);
            }
        }
    }

    #[test]
    fn every_declared_table_is_listed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/storage/schema");
        let mut declared = 0;
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if !path.ends_with("mod.rs") {
                declared += fs::read_to_string(path).unwrap().matches("Table::new(").count();
            }
        }
        let listed: usize = ALL.iter().map(|tables| tables.len()).sum();
        assert_eq!(declared, listed, "add each table to TABLES of its file, and each file's TABLES to schema::ALL");
    }
}
