//! The keys of a backup as JSON that is written while they are read: a backup may be larger than the memory that there is.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use ruma::OwnedRoomId;

use crate::{
    encryption::{KeyPages, PlacedKey},
    error::{Error, Result},
};

/// Whether the keys are those of one room or stand under the rooms that they belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `{"rooms": {"!room": {"sessions": {"session": …}}}}`
    ByRoom,
    /// `{"sessions": {"session": …}}`
    OfOneRoom,
}

/// The text so far has all keys up to those that are written next.
struct Writer {
    form: Form,
    /// The room whose sessions are being written.
    room: Option<OwnedRoomId>,
}

/// An answer with all of the keys. What goes wrong after it has begun can only break it off.
pub async fn written(mut pages: KeyPages, form: Form) -> Result<Response> {
    let mut writer = Writer { form, room: None };
    let mut start = writer.start().to_owned();
    // What can be wrong is mostly wrong at once.
    let first = pages.next().await?;
    writer.add(&mut start, &first)?;
    let rest = stream::try_unfold(Some((pages, writer, start)), |state| async {
        let Some((mut pages, mut writer, text)) = state else { return Ok::<_, Error>(None) };
        let (page, mut next) = (pages.next().await?, String::new());
        if page.is_empty() {
            return Ok(Some((Bytes::from(text + &writer.end()), None)));
        }
        writer.add(&mut next, &page)?;
        Ok(Some((Bytes::from(text), Some((pages, writer, next)))))
    });
    let content_type = HeaderValue::from_static("application/json");
    Ok(([(CONTENT_TYPE, content_type)], Body::from_stream(rest)).into_response())
}

impl Writer {
    fn start(&self) -> &'static str {
        match self.form {
            Form::ByRoom => "{\"rooms\":{",
            Form::OfOneRoom => "{\"sessions\":{",
        }
    }

    fn add(&mut self, text: &mut String, keys: &[PlacedKey]) -> Result<()> {
        for (room, session, key) in keys {
            let is_same = self.room.as_ref() == Some(room);
            match (&self.room, self.form) {
                (Some(_), _) if is_same => text.push(','),
                (Some(_), Form::ByRoom) => text.push_str("}},"),
                _ => {}
            }
            if !is_same {
                self.room = Some(room.clone());
                if self.form == Form::ByRoom {
                    text.push_str(&json(room.as_str())?);
                    text.push_str(":{\"sessions\":{");
                }
            }
            text.push_str(&json(session)?);
            text.push(':');
            text.push_str(key.get());
        }
        Ok(())
    }

    fn end(&self) -> String {
        let open = if self.form == Form::ByRoom && self.room.is_some() { "}}" } else { "" };
        format!("{open}}}}}")
    }
}

fn json(text: &str) -> Result<String> {
    serde_json::to_string(text).map_err(Error::internal)
}
