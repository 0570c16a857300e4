//! What people experience, one story per file, told over HTTP against the real binary.

mod support;

mod a_badge_shows_what_is_unread;
mod a_client_keeps_up_with_its_rooms;
mod a_file_is_announced_before_it_is_there;
mod a_message_is_sent_once;
mod a_message_is_taken_back;
mod a_person_changes_the_password_and_leaves_for_good;
mod a_person_chooses_what_to_hear_of;
mod a_person_logs_in_and_out;
mod a_person_makes_an_account;
mod a_person_manages_their_devices;
mod a_person_shows_a_profile;
mod a_room_starts_as_its_creator_wants_it;
mod a_token_opens_what_it_should;
mod an_administrator_locks_an_account;
mod an_operator_manages_accounts;
mod an_operator_sets_up_a_server;
mod anyone_finds_out_what_the_server_is;
mod clients_connect_in_several_ways;
mod clients_keep_settings_for_each_other;
mod outsiders_see_what_was_theirs_to_see;
mod people_arrange_their_room;
mod people_come_and_go;
mod people_read_back;
mod people_see_how_far_others_have_read;
mod people_see_who_is_online;
mod people_see_who_is_typing;
mod people_share_files;
mod pictures_get_thumbnails;
mod rooms_are_found_by_name;
mod rooms_keep_up_with_their_members;
mod settings_reach_every_device;
mod the_server_stops_and_comes_back;
