//! Every route of the client-server API on one page, by the sections of the specification.

mod account;
mod account_data;
mod admin;
mod aliases;
mod amended;
mod appservice;
mod as_sent;
mod backed_up_keys;
mod calls;
mod content_disposition;
mod context;
mod create_room;
mod dehydrated_device;
mod delayed_events;
mod devices;
mod directory;
mod discovery;
mod events;
mod file_answer;
mod filter;
mod join_content;
mod jump_to_date;
mod key_backup;
mod keys;
mod login;
mod media;
mod members;
mod membership;
mod messages;
mod mutual_rooms;
mod notifications;
mod openid;
mod peek;
mod presence;
mod previews;
mod profile;
mod push_rules;
mod pushers;
mod read_markers;
mod receipts;
mod redact;
mod register;
mod relations;
mod report_administration;
mod reports;
mod room_summary;
mod search;
mod send;
mod server_notices;
mod sliding_sync;
mod spaces;
mod state;
mod sync;
mod sync_body;
mod third_party_ids;
mod third_party_networks;
mod thread_subscriptions;
mod to_device;
mod typing;
mod upgrade;

use axum::{
    Router,
    routing::{delete, get, post, put},
};

use super::{app::App, routing::Endpoints as _};

/// Where account data is deleted as long as MSC3391 is no part of the specification.
const ACCOUNT_DATA_DELETION: &str = "/_matrix/client/unstable/org.matrix.msc3391/user/{user_id}";

/// Where rooms are synced by what a client looks at, as long as MSC4186 is no part of the specification.
const SLIDING_SYNC: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

/// The client-server API.
pub fn routes() -> Router<App> {
    server().merge(accounts()).merge(rooms()).merge(looking_around()).merge(people()).merge(encryption()).merge(files())
}

/// What the server is and can do.
fn server() -> Router<App> {
    Router::new()
        // Server discovery
        .endpoint(discovery::homeserver)
        .endpoint(discovery::support)
        .endpoint(discovery::policy_server)
        .endpoint(discovery::authorization_server)
        .endpoint(discovery::versions)
        // Capabilities negotiation
        .endpoint(discovery::capabilities)
}

/// Who one is.
fn accounts() -> Router<App> {
    Router::new()
        // Account registration
        .endpoint(register::register)
        .endpoint(register::availability)
        .endpoint(register::token_validity)
        .route("/_synapse/admin/v1/register", get(register::shared_secret_nonce).post(register::shared_secret))
        // Login and logout
        .endpoint(login::flows)
        .endpoint(login::login)
        .endpoint(login::login_token)
        .endpoint(login::sso)
        .endpoint(login::sso_with)
        .endpoint(login::refresh)
        .endpoint(login::logout)
        .endpoint(login::logout_all)
        // Account management
        .endpoint(account::change_password)
        .endpoint(account::deactivate)
        .endpoint(account::whoami)
        // Adding account administrative contact information
        .endpoint(third_party_ids::list)
        .endpoint(third_party_ids::request_token)
        .endpoint(third_party_ids::request_registration_token)
        .endpoint(third_party_ids::request_password_token)
        .endpoint(third_party_ids::request_telephone_token)
        .endpoint(third_party_ids::request_telephone_registration_token)
        .endpoint(third_party_ids::request_telephone_password_token)
        .endpoint(third_party_ids::add)
        .endpoint(third_party_ids::remove)
        .endpoint(third_party_ids::bind)
        .endpoint(third_party_ids::unbind)
        .route("/_matrix/client/r0/account/3pid", post(third_party_ids::add_by_identity_server))
        .route("/_matrix/client/v3/account/3pid", post(third_party_ids::add_by_identity_server))
        // Account moderation
        .endpoint(admin::is_locked)
        .endpoint(admin::lock)
        .endpoint(admin::is_suspended)
        .endpoint(admin::suspend)
        // Server administration
        .endpoint(admin::whois)
        // Reports, as administrators read them
        .merge(report_administration::routes())
        // Server notices
        .route("/_synapse/admin/v1/send_server_notice", post(server_notices::send))
        .route("/_synapse/admin/v1/send_server_notice/{txn_id}", put(server_notices::send_once))
        // Device management
        .endpoint(devices::list)
        .endpoint(devices::get)
        .endpoint(devices::rename)
        .endpoint(devices::delete)
        .endpoint(devices::delete_many)
        // Application services
        .endpoint(appservice::ping)
        .endpoint(appservice::set_network_visibility)
        // OpenID
        .endpoint(openid::request_token)
        .endpoint(openid::user_info)
}

/// Rooms and what happens in them.
fn rooms() -> Router<App> {
    Router::new()
        // Filtering
        .endpoint(filter::create)
        .endpoint(filter::get)
        // Syncing
        .endpoint(sync::sync)
        .route(SLIDING_SYNC, post(sliding_sync::sync))
        // Getting events for a room
        .endpoint(events::get)
        .endpoint(members::joined)
        .endpoint(members::all)
        .endpoint(state::all)
        .endpoint_with_optional_end(state::get)
        .endpoint(messages::get)
        .endpoint(jump_to_date::get)
        // Sending events to a room
        .endpoint_with_optional_end(state::set)
        .endpoint(send::send)
        // Delayed events (MSC4140)
        .route(delayed_events::SCHEDULE, put(delayed_events::schedule))
        .endpoint(delayed_events::list)
        .endpoint(delayed_events::get)
        .endpoint(delayed_events::act)
        .endpoint(delayed_events::act_by_body)
        // Redactions
        .endpoint(redact::redact)
        // Event context
        .endpoint(context::get)
        // Creation
        .endpoint(create_room::create)
        // Room aliases
        .endpoint(aliases::create)
        .endpoint(aliases::resolve)
        .endpoint(aliases::delete)
        .endpoint(aliases::of_room)
        // Room membership
        .endpoint(membership::joined_rooms)
        .endpoint(membership::invite)
        .endpoint(membership::join)
        .endpoint(membership::join_by_id_or_alias)
        .endpoint(membership::knock)
        .endpoint(membership::leave)
        .endpoint(membership::forget)
        .endpoint(membership::kick)
        .endpoint(membership::ban)
        .endpoint(membership::unban)
        // Room upgrades
        .endpoint(upgrade::upgrade)
        // Typing notifications
        .endpoint(typing::set)
        // Receipts
        .endpoint(receipts::create)
        // Read and unread markers
        .endpoint(read_markers::set)
        // Relationships between events, and threading
        .endpoint(relations::all)
        .endpoint(relations::of_relation)
        .endpoint(relations::of_type)
        .endpoint(relations::threads)
        // Thread subscriptions (MSC4306, MSC4308)
        .endpoint(thread_subscriptions::get)
        .endpoint(thread_subscriptions::put)
        .endpoint(thread_subscriptions::delete)
        .endpoint(thread_subscriptions::changes)
}

/// Rooms that one is not in, and what lies beyond them.
fn looking_around() -> Router<App> {
    Router::new()
        // Published room directory
        .endpoint(directory::list)
        .endpoint(directory::search)
        .endpoint(directory::visibility)
        .endpoint(directory::set_visibility)
        // Server side search
        .endpoint(search::messages)
        // Room summaries
        .endpoint(room_summary::get)
        .route("/_matrix/client/unstable/im.nheko.summary/summary/{room_id_or_alias}", get(room_summary::get))
        // Spaces
        .endpoint(spaces::hierarchy)
        // Room previews
        .endpoint(peek::room)
        .route(peek::EVENTS[0], get(peek::listen))
        .route(peek::EVENTS[1], get(peek::listen))
        // What came before syncing
        .route(peek::EVENT[0], get(peek::event))
        .route(peek::EVENT[1], get(peek::event))
        .route(peek::INITIAL_SYNC[0], get(peek::initial_sync))
        .route(peek::INITIAL_SYNC[1], get(peek::initial_sync))
        // Third-party networks
        .endpoint(third_party_networks::protocols)
        .endpoint(third_party_networks::protocol)
        .endpoint(third_party_networks::locations)
        .endpoint(third_party_networks::users)
        .endpoint(third_party_networks::locations_of_alias)
        .endpoint(third_party_networks::users_of_id)
}

/// What users show of themselves, and what they want for themselves.
fn people() -> Router<App> {
    Router::new()
        // Profiles
        .endpoint(profile::get)
        .endpoint(profile::get_field)
        .endpoint(profile::set_field)
        .endpoint(profile::delete_field)
        // User directory
        .endpoint(search::people)
        // Reporting content
        .endpoint(reports::event)
        .endpoint(reports::room)
        .endpoint(reports::user)
        // Mutual rooms
        .endpoint(mutual_rooms::get)
        .endpoint(mutual_rooms::get_by_older_path)
        // Voice over IP, and MatrixRTC (MSC4143)
        .endpoint(calls::turn_server)
        .endpoint(calls::transports)
        // Presence
        .endpoint(presence::get)
        .endpoint(presence::set)
        // Push notifications
        .endpoint(pushers::list)
        .endpoint(pushers::set)
        .endpoint(notifications::list)
        // Push rules
        .endpoint(push_rules::all)
        .endpoint(push_rules::global)
        .endpoint(push_rules::get)
        .endpoint(push_rules::set)
        .endpoint(push_rules::delete)
        .endpoint(push_rules::enabled)
        .endpoint(push_rules::set_enabled)
        .endpoint(push_rules::actions)
        .endpoint(push_rules::set_actions)
        // Client config and room tagging
        .endpoint(account_data::get_global)
        .endpoint(account_data::set_global)
        .endpoint(account_data::get_of_room)
        .endpoint(account_data::set_of_room)
        .route(&format!("{ACCOUNT_DATA_DELETION}/account_data/{{type}}"), delete(account_data::delete_global))
        .route(
            &format!("{ACCOUNT_DATA_DELETION}/rooms/{{room_id}}/account_data/{{type}}"),
            delete(account_data::delete_of_room),
        )
        .endpoint(account_data::tags)
        .endpoint(account_data::set_tag)
        .endpoint(account_data::delete_tag)
}

/// Files and pictures ("Content repository").
fn files() -> Router<App> {
    Router::new()
        .endpoint(media::upload)
        .endpoint(media::announce)
        .endpoint(media::upload_announced)
        .endpoint(media::config)
        .endpoint(media::download)
        .endpoint(media::download_as)
        .endpoint(previews::get)
        .endpoint(media::thumbnail)
        // The addresses of Matrix 1.10 and older
        .endpoint(media::old_config)
        .endpoint(previews::get_by_older_path)
        .endpoint(media::old_download)
        .endpoint(media::old_download_as)
        .endpoint(media::old_thumbnail)
}

/// What devices need to encrypt for each other.
fn encryption() -> Router<App> {
    Router::new()
        // Send-to-device messaging
        .endpoint(to_device::send)
        // Key distribution
        .endpoint(keys::upload)
        .endpoint(keys::query)
        .endpoint(keys::claim)
        .endpoint(keys::changes)
        // Cross-signing
        .endpoint(keys::upload_cross_signing)
        .endpoint(keys::upload_signatures)
        // Dehydrated devices (MSC3814)
        .endpoint(dehydrated_device::put)
        .endpoint(dehydrated_device::get)
        .endpoint(dehydrated_device::delete)
        .endpoint(dehydrated_device::events)
        // Server-side key backups
        .endpoint(key_backup::create)
        .endpoint(key_backup::latest)
        .endpoint(key_backup::get)
        .endpoint(key_backup::update)
        .endpoint(key_backup::delete)
        .endpoint(key_backup::add_keys)
        .endpoint(key_backup::add_keys_of_room)
        .endpoint(key_backup::add_key)
        .endpoint(key_backup::keys)
        .endpoint(key_backup::keys_of_room)
        .endpoint(key_backup::key)
        .endpoint(key_backup::remove_keys)
        .endpoint(key_backup::remove_keys_of_room)
        .endpoint(key_backup::remove_key)
}
