//! From version 2 to 3: no rule silences threads that its user did not enable.

use crate::{
    error::Result,
    storage::{Batch, Direction, KeyRange, Store, schema::users::PUSH_RULES},
};

/// How many users' rules one commit changes.
const USERS_AT_ONCE: usize = 200;

/// Takes the rules about subscriptions to threads (MSC4306) out of what users changed. They were kept there as the library has
/// them, the one that silences threads enabled; nobody could see them and nothing followed from them.
pub(super) async fn forget_rules(store: &Store) -> Result<()> {
    let snapshot = store.snapshot();
    let mut rest = KeyRange::all();
    loop {
        let rows = PUSH_RULES.scan(&snapshot, rest, Direction::Forward, USERS_AT_ONCE).await?;
        let Some(((last,), _)) = rows.last() else { return Ok(()) };
        rest = KeyRange::after((last,));
        let mut batch = Batch::new();
        batch.slots(0);
        for ((user,), mut rules) in rows {
            rules.postcontent.clear();
            PUSH_RULES.put(&mut batch, (&user,), &rules);
        }
        store.commit(batch).await?;
    }
}

#[cfg(test)]
mod tests {
    use ruma::{push::Ruleset, user_id};

    use super::*;

    #[tokio::test]
    async fn what_the_library_had_enabled_is_taken_out_and_the_rest_stays() {
        let store = Store::in_memory();
        let users = [user_id!("@alice:example.org"), user_id!("@bob:example.org")];
        let mut batch = Batch::new();
        for user in users {
            let mut rules = Ruleset::server_default(user);
            rules.set_enabled("override".into(), ".m.rule.master", true).unwrap();
            assert!(!rules.postcontent.is_empty());
            PUSH_RULES.put(&mut batch, (user,), &rules);
        }
        store.commit(batch).await.unwrap();
        for _again in 0..2 {
            forget_rules(&store).await.unwrap();
            for user in users {
                let rules = PUSH_RULES.get(&store.snapshot(), (user,)).await.unwrap().unwrap();
                assert!(rules.postcontent.is_empty());
                assert!(rules.get("override".into(), ".m.rule.master").unwrap().enabled());
            }
        }
    }
}
