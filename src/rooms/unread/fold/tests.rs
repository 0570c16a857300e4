//! A fold that is carried forward, in whatever steps, is the fold that starts from nothing.

use proptest::prelude::*;
use ruma::owned_event_id;

use super::*;

/// Something that happens, in the order of the places.
#[derive(Clone, Debug)]
enum Step {
    /// An event.
    Event(Thread, Meaning),
    /// A receipt for all threads, this many events back.
    Read(u64),
    /// A receipt for one thread, this many events back.
    ReadThread(Thread, u64),
    /// Somebody asks for the counts.
    Ask,
}

fn place(number: u64) -> Order {
    Order::Live(number.into())
}

fn threads() -> impl Strategy<Value = Thread> {
    prop_oneof![
        Just(Thread::Main),
        Just(Thread::Root(owned_event_id!("$one"))),
        Just(Thread::Root(owned_event_id!("$two"))),
    ]
}

fn meanings() -> impl Strategy<Value = Meaning> {
    prop_oneof![
        2 => Just(Meaning::Nothing),
        1 => Just(Meaning::Own),
        6 => any::<bool>().prop_map(|highlight| Meaning::Notifies { highlight }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (threads(), meanings()).prop_map(|(thread, meaning)| Step::Event(thread, meaning)),
        1 => (0..6_u64).prop_map(Step::Read),
        2 => (threads(), 0..6_u64).prop_map(|(thread, back)| Step::ReadThread(thread, back)),
        3 => Just(Step::Ask),
    ];
    prop::collection::vec(step, 0..60)
}

/// Folds the events behind the fold in, the first of which stands at place 1.
fn carry(fold: &mut Fold, events: &[(Thread, Meaning)]) {
    for (number, (thread, meaning)) in (1..).zip(events) {
        if place(number) > fold.until() {
            fold.note(place(number), thread.clone(), *meaning);
            fold.pass(place(number));
        }
    }
}

/// The counts by their definition: what notifies behind what was read and behind the last own event of its thread.
fn by_definition(read: &ReadUpTo, events: &[(Thread, Meaning)]) -> Unread {
    let mut unread = Unread::default();
    for (number, (thread, meaning)) in (1..).zip(events) {
        let own_later = events[number..].iter().any(|(other, meaning)| other == thread && *meaning == Meaning::Own);
        let is_read = place(number as u64) <= read.in_thread(thread) || own_later;
        if let (Meaning::Notifies { highlight }, false) = (meaning, is_read) {
            let counts = match thread {
                Thread::Main => &mut unread.main,
                Thread::Root(root) => unread.threads.entry(root.clone()).or_default(),
            };
            *counts += Counts { notifications: 1, highlights: u64::from(*highlight) };
        }
    }
    unread
}

proptest! {
    #[test]
    fn carrying_forward_and_starting_anew_give_what_the_definition_says(steps in steps()) {
        let mut events = Vec::new();
        let mut read = ReadUpTo::nothing_since(place(0));
        let mut memo = Fold::new(read.clone());
        for step in steps {
            let here = events.len() as u64;
            match step {
                Step::Event(thread, meaning) => events.push((thread, meaning)),
                Step::Read(back) => read.read(place(here.saturating_sub(back))),
                Step::ReadThread(thread, back) => read.read_thread(thread, place(here.saturating_sub(back))),
                Step::Ask => {
                    memo = memo.read_on(read.clone()).unwrap_or_else(|| Fold::new(read.clone()));
                    carry(&mut memo, &events);
                    let mut anew = Fold::new(read.clone());
                    carry(&mut anew, &events);
                    prop_assert_eq!(memo.unread(), anew.unread());
                    prop_assert_eq!(anew.unread(), by_definition(&read, &events));
                }
            }
        }
    }
}

#[test]
fn reading_to_the_end_needs_no_second_look() {
    let mut fold = Fold::new(ReadUpTo::nothing_since(place(0)));
    let notifies = (Thread::Main, Meaning::Notifies { highlight: false });
    carry(&mut fold, &[notifies.clone(), notifies.clone(), notifies]);
    let read_up_to = |number| {
        let mut read = ReadUpTo::nothing_since(place(0));
        read.read_thread(Thread::Main, place(number));
        read
    };
    assert_eq!(fold.read_on(read_up_to(3)).unwrap().unread(), Unread::default());
    assert_eq!(
        fold.read_on(read_up_to(2)),
        None,
        "one of the three is unread, and which kind it is has to be looked up"
    );
}

#[test]
fn receipts_that_moved_back_need_a_second_look() {
    let mut read = ReadUpTo::nothing_since(place(5));
    read.read_thread(Thread::Main, place(9));
    let fold = Fold::new(read);
    assert_eq!(fold.read_on(ReadUpTo::nothing_since(place(5))), None);
    assert_eq!(fold.read_on(ReadUpTo::nothing_since(place(4))), None);
}
