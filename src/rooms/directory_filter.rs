//! Whether a room of the public directory is what somebody looks for.

use ruma::directory::{Filter, PublicRoomsChunk, RoomTypeFilter};

/// Whether a room is what `filter` looks for.
pub(super) fn passes(entry: &PublicRoomsChunk, filter: &Filter) -> bool {
    let kind = RoomTypeFilter::from(entry.room_type.clone());
    let right_kind = filter.room_types.is_empty() || filter.room_types.contains(&kind);
    right_kind && filter.generic_search_term.as_deref().is_none_or(|term| mentions(entry, term))
}

/// Whether name, topic or alias of a room hold `term`, in whatever case.
fn mentions(entry: &PublicRoomsChunk, term: &str) -> bool {
    let alias = entry.canonical_alias.as_ref().map(|alias| alias.as_str());
    let texts = [entry.name.as_deref(), entry.topic.as_deref(), alias];
    let term = term.trim().to_lowercase();
    texts.into_iter().flatten().any(|text| text.to_lowercase().contains(&term))
}

#[cfg(test)]
mod tests {
    use ruma::{directory::PublicRoomsChunkInit, room::RoomType};

    use super::*;

    fn sample() -> PublicRoomsChunk {
        let mut entry = PublicRoomsChunk::from(PublicRoomsChunkInit {
            num_joined_members: 1u32.into(),
            room_id: "!a:example.org".try_into().unwrap(),
            world_readable: false,
            guest_can_join: false,
        });
        entry.name = Some("Tea and Ümlauts".to_owned());
        entry.topic = Some("Everything hot".to_owned());
        entry.canonical_alias = Some("#kettle:example.org".try_into().unwrap());
        entry
    }

    #[test]
    fn a_term_is_looked_for_in_name_topic_and_alias() {
        let found = |term: &str| mentions(&sample(), term);
        assert!(found("TEA") && found("ümlaut") && found("hot") && found("#kettle") && found(" tea "));
        assert!(!found("coffee") && !found("!a"));
    }

    #[test]
    fn kinds_of_rooms_are_told_apart() {
        let finds = |room_type: Option<&str>, wanted: &[Option<&str>]| {
            let mut entry = sample();
            entry.room_type = room_type.map(RoomType::from);
            let mut filter = Filter::new();
            filter.room_types = wanted.iter().map(|kind| RoomTypeFilter::from(*kind)).collect();
            passes(&entry, &filter)
        };
        assert!(finds(None, &[]) && finds(Some("m.space"), &[]));
        assert!(finds(None, &[None]) && !finds(Some("m.space"), &[None]));
        assert!(finds(Some("m.space"), &[None, Some("m.space")]) && !finds(None, &[Some("m.space")]));
        assert!(finds(Some("org.example.x"), &[Some("org.example.x")]) && !finds(None, &[Some("org.example.x")]));
    }
}
