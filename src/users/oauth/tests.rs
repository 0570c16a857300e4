//! What registered clients and their codes promise.
