//! Removing files before their time.

use ruma::MxcUri;

use super::Media;
use crate::{
    error::Result,
    storage::{
        Batch,
        schema::media::{FILES, LOOSE_OBJECTS, Loose},
        until_settled,
    },
};

impl Media {
    /// Removes the file of this server that `uri` names, if there is one.
    pub(super) async fn remove(&self, uri: &MxcUri) -> Result<()> {
        let Ok((server, id)) = uri.parts() else { return Ok(()) };
        let removed = until_settled(|| async {
            let file = FILES.get(&self.0.store.snapshot(), (server, id)).await?;
            let Some(file) = file else { return Ok(None) };
            let mut batch = Batch::new();
            batch.slots(0);
            FILES.expect(&mut batch, (server, id), Some(&file));
            FILES.delete(&mut batch, (server, id));
            LOOSE_OBJECTS.put(&mut batch, (file.object,), &Loose::Discarded);
            self.0.store.commit(batch).await.map(|_| Some(file.object))
        })
        .await?;
        if let Some(object) = removed {
            self.discard(&object).await;
        }
        Ok(())
    }
}
