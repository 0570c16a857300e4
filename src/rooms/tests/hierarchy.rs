//! Spaces that are large, deep or tangled.

use std::collections::BTreeSet;

use ruma::OwnedRoomId;
use serde_json::{Value, json};

use super::{super::*, alice, create::request, rooms};

async fn space(rooms: &Rooms) -> OwnedRoomId {
    rooms.create(&alice(), request(json!({ "creation_content": { "type": "m.space" } }))).await.unwrap()
}

/// Puts these rooms into a space.
async fn link(rooms: &Rooms, parent: &OwnedRoomId, children: &[OwnedRoomId]) {
    let room = rooms.room(parent).await.unwrap();
    for some in children.chunks(500) {
        let mut writer = rooms.write(&room).await.unwrap();
        for child in some {
            let content: Value = json!({ "via": ["example.org"] });
            writer.add(Intent::state(&alice(), "m.space.child".into(), child.as_str(), &content).unwrap()).unwrap();
        }
        writer.commit().await.unwrap();
    }
}

/// Every room that the walk shows, and the number of pages.
async fn walk(rooms: &Rooms, root: &OwnedRoomId, limit: u64, max_depth: Option<u64>) -> (Vec<OwnedRoomId>, usize) {
    let (mut seen, mut from, mut pages) = (Vec::new(), None, 0);
    loop {
        let wanted = HierarchyRequest { limit: Some(limit), max_depth, from, ..HierarchyRequest::default() };
        let page = rooms.hierarchy(root, &alice(), wanted).await.unwrap();
        assert!(page.rooms.len() as u64 <= limit);
        seen.extend(page.rooms.into_iter().map(|room| room.summary.room_id));
        pages += 1;
        from = page.next;
        if from.is_none() {
            return (seen, pages);
        }
    }
}

#[tokio::test]
async fn a_space_of_thousands_is_walked_in_pages_that_look_at_a_bounded_number_of_rooms() {
    let rooms = rooms();
    let root = space(&rooms).await;
    // Most of the children are rooms that nobody knows.
    let mut children: Vec<_> =
        (0..1_200).map(|n| OwnedRoomId::try_from(format!("!r{n:04}:example.org")).unwrap()).collect();
    let known = [space(&rooms).await, space(&rooms).await];
    children.insert(400, known[0].clone());
    children.push(known[1].clone());
    link(&rooms, &root, &children).await;
    let (seen, pages) = walk(&rooms, &root, 50, None).await;
    assert_eq!(seen.iter().collect::<BTreeSet<_>>(), [&root, &known[0], &known[1]].into());
    assert_eq!((seen.len(), pages), (3, 3), "each page looks at 500 rooms");
}

#[tokio::test]
async fn circles_end_and_rooms_on_two_ways_are_told_for_each() {
    let rooms = rooms();
    let (root, left, right, end) = (space(&rooms).await, space(&rooms).await, space(&rooms).await, space(&rooms).await);
    link(&rooms, &root, &[left.clone(), right.clone(), root.clone()]).await;
    link(&rooms, &left, &[end.clone(), root.clone()]).await;
    link(&rooms, &right, &[end.clone(), right.clone()]).await;
    link(&rooms, &end, std::slice::from_ref(&left)).await;
    for limit in 1..9 {
        let (seen, _) = walk(&rooms, &root, limit, None).await;
        let count = |room| seen.iter().filter(|it| *it == room).count();
        assert_eq!([&root, &left, &right, &end].map(count), [1, 2, 1, 2], "{limit}");
        assert_eq!(seen[0], root);
        let (shallow, _) = walk(&rooms, &root, limit, Some(1)).await;
        assert_eq!(shallow.len(), 3, "{limit}");
    }
}
