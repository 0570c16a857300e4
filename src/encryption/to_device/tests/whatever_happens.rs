//! Whatever senders, a device and the network do, the device gets every message once and in order.

use proptest::prelude::*;

use super::*;

/// Something that happens.
#[derive(Clone, Debug)]
enum Deed {
    /// A message is sent, to the device or to all of them.
    Send { star: bool },
    /// The last request is sent once more, since its answer was lost.
    SendAgain,
    /// The device asks for what is new, for at most so many, and gets the answer or does not.
    Sync { limit: usize, arrives: bool },
    /// The device forgets where it was before it used the newest token, as an app that is killed.
    ForgetAnswer,
    /// The server starts again.
    Restart,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => any::<bool>().prop_map(|star| Deed::Send { star }),
        1 => Just(Deed::SendAgain),
        3 => (1..4_usize, any::<bool>()).prop_map(|(limit, arrives)| Deed::Sync { limit, arrives }),
        1 => Just(Deed::ForgetAnswer),
        1 => Just(Deed::Restart),
    ];
    prop::collection::vec(deed, 1..40)
}

/// An app on one of Alice's devices that keeps what it has got together with the token of the answer.
#[derive(Clone, Default)]
struct Client {
    token: Position,
    got: Vec<String>,
}

struct Story {
    scene: Scene,
    client: Client,
    /// The app as it was before the last answer, as long as it has not used that answer's token.
    before: Option<Client>,
    sent: Vec<String>,
}

impl Story {
    async fn carry_out(&mut self, deed: Deed) {
        match deed {
            Deed::Send { star } => {
                let text = self.sent.len().to_string();
                self.scene.send(&text, to(alice(), if star { "*" } else { "A" }, &text)).await.unwrap();
                self.sent.push(text);
            }
            Deed::SendAgain => {
                let Some(text) = self.sent.last() else { return };
                self.scene.send(text, to(alice(), "*", text)).await.unwrap();
            }
            Deed::Sync { limit, arrives } => {
                // As a sync does: what the device has goes, and what comes after it is told.
                self.scene.acknowledge("A", self.client.token).await;
                self.before = None;
                let (texts, token) = self.scene.told("A", self.client.token, limit).await;
                assert!(texts.len() <= limit);
                if arrives {
                    self.before = Some(self.client.clone());
                    self.client.got.extend(texts);
                    self.client.token = token;
                }
            }
            Deed::ForgetAnswer => self.client = self.before.take().unwrap_or_else(|| self.client.clone()),
            Deed::Restart => self.scene = self.scene.restarted(),
        }
        assert!(self.sent.starts_with(&self.client.got), "{:?} of {:?}", self.client.got, self.sent);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_message_arrives_once_and_in_order(deeds in deeds()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (scene, client) = (Scene::new().await, Client::default());
            let mut story = Story { scene, client, before: None, sent: Vec::new() };
            for deed in deeds {
                story.carry_out(deed).await;
            }
            for _ in 0..=story.sent.len() {
                story.carry_out(Deed::Sync { limit: 1, arrives: true }).await;
            }
            assert_eq!(story.client.got, story.sent);
            story.carry_out(Deed::Sync { limit: 1, arrives: true }).await;
            assert!(story.scene.told("A", Position::ZERO, 1).await.0.is_empty(), "nothing is kept for longer than needed");
        });
    }
}
