//! What is read from good pages, poor pages and hostile ones.

use proptest::prelude::*;

use super::*;

fn property(html: &str, name: &str) -> Option<String> {
    read(html).properties.remove(name)
}

#[test]
fn a_page_is_what_it_says_it_is() {
    let page = read(
        r#"<html prefix="og: http://ogp.me/ns#"><head><title>The Rock (1996)</title><base href="/films/">
        <meta property="og:title" content="The  Rock
        &amp; Roll"><META NAME="og:type" CONTENT="video.movie"/><meta property="og:image" content=test.png>
        <meta property="og:image" content="second.png"><meta property="fb:app_id" content="7">
        <link rel="alternate me" type="application/json+oembed" href="/oembed?url=x"></head><body></body>"#,
    );
    let properties: Vec<_> = page.properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(properties, [("og:image", "test.png"), ("og:title", "The Rock & Roll"), ("og:type", "video.movie")]);
    assert_eq!(page.oembed.as_deref(), Some("/oembed?url=x"));
    assert_eq!(page.base.as_deref(), Some("/films/"));
}

#[test]
fn a_page_without_properties_is_read_as_a_person_would() {
    let paragraph = "This paragraph is long enough to say something about the whole page.";
    let html = format!(
        "<title>Hello &lt;b&gt;</title><script>document.write('<title>No</title><p>{paragraph}')</script>\
        <style>p {{ content: '<p>{paragraph}' }}</style><p>Short</p><p>Once more: <b>{paragraph}</b></p><p>{paragraph}"
    );
    assert_eq!(property(&html, "og:title").unwrap(), "Hello <b>");
    assert_eq!(property(&html, "og:description").unwrap(), format!("Once more: {paragraph}"));
    let described = format!("{html}<meta name=description content='In short'>");
    assert_eq!(property(&described, "og:description").unwrap(), "In short");
    assert_eq!(property("<meta name=twitter:image content=a.png>", "og:image").unwrap(), "a.png");
    assert_eq!(property("<link rel=image_src href=b.png>", "og:image").unwrap(), "b.png");
}

#[test]
fn a_page_cannot_say_more_than_there_is_room_for() {
    let long = "ä".repeat(10_000);
    let html = format!("<meta property=og:title content='{long}'><title>{long}</title><p>{long}");
    assert_eq!(property(&html, "og:title").unwrap().chars().count(), LONGEST_VALUE + 1);
    assert_eq!(property(&html, "og:description").unwrap().chars().count(), LONGEST_EXCERPT + 1);
    let many: String = (0..1_000).map(|n| format!("<meta property=og:x{n} content=1>")).collect();
    assert_eq!(read(&many).properties.len(), MOST_PROPERTIES);
    for name in ["og:", "og:<script>", "og:a b", &format!("og:{}", "x".repeat(61))] {
        assert_eq!(read(&format!("<meta property='{name}' content=1>")).properties.len(), 0, "{name}");
    }
}

#[test]
fn a_tag_of_many_attributes_takes_no_longer_than_a_page_may() {
    let attributes: String = (0..300_000).map(|n| format!("{n:x} ")).collect();
    let started = Instant::now();
    let page = read(&format!("<title>Before</title><a {attributes}>"));
    assert_eq!(page.properties["og:title"], "Before");
    assert!(started.elapsed() < PATIENCE * 20, "it took {:?}", started.elapsed());
}

#[test]
fn a_long_page_is_read_as_if_it_came_at_once() {
    let html = format!("{}<meta property=og:title content='{}'>", "<i a=\"ä\">ö</i>".repeat(700), "ü".repeat(900));
    assert_eq!(property(&html, "og:title").unwrap(), "ü".repeat(900));
}

proptest! {
    #[test]
    fn no_page_is_too_broken(html in "(<(meta|title|p|script|link|base|/p|/title|!--)? ?(property|content|=|'|\"|og:title|>|<|&|;|x|ä)*){0,20}") {
        read(&html);
    }
}
