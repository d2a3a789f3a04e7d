//! What every store of accounts must do, written against the trait: a list of cases and a model.

pub(crate) mod audit;
mod model;
pub(crate) mod session;
pub(crate) mod setup;
mod subject;
pub(crate) mod sweep;
pub(crate) mod token;
mod trace;
pub(crate) mod user;

pub(crate) use model::traces_agree;
pub(crate) use subject::{ABSOLUTE, Subject, actor, key, new_session, new_token, new_user};

/// Makes a test of each case, for the store of accounts that the function at this path makes.
macro_rules! accounts_conformance {
    ($make:path) => {
        accounts_conformance! { @ $make;
            setup:
                there_is_no_admin_until_a_ticket_is_redeemed,
                a_ticket_is_good_once,
                a_ticket_expires_at_its_time_and_not_before,
                a_newer_ticket_replaces_the_older,
                sixteen_at_once_have_one_winner,
                no_ticket_is_opened_while_there_is_an_admin,
                a_taken_name_and_a_full_table_keep_the_ticket;
            user:
                a_user_reads_back,
                names_that_differ_in_case_are_the_same,
                names_and_passwords_are_bounded,
                users_are_bounded_below_at_over_and_back,
                users_are_listed_by_name_page_by_page,
                a_change_changes_what_it_names,
                a_password_ends_all_sessions_but_the_one_kept,
                another_role_ends_sessions_and_tokens_live_on,
                being_disabled_ends_the_kept_session_too,
                what_is_no_change_ends_nothing_and_is_not_told,
                of_many_first_admins_one_is_made,
                the_last_admin_stays,
                two_admins_who_remove_each_other_leave_one,
                a_user_goes_with_all_that_is_theirs,
                nothing_secret_is_shown;
            session:
                a_session_reads_back_with_its_user,
                an_unknown_a_disabled_and_a_changed_user_are_refused,
                sessions_of_a_user_are_bounded_below_at_over_and_back,
                sessions_of_all_are_bounded_below_at_over_and_back,
                sessions_that_expired_make_room,
                sessions_begun_at_once_never_exceed_a_bound,
                an_idle_session_ends_at_its_time_and_not_before,
                a_touch_moves_the_idle_end_but_not_past_the_absolute_one,
                an_ended_session_is_dead_at_once,
                a_rotated_session_lives_under_its_new_key_only,
                a_key_is_taken_once,
                one_is_revoked_by_handle_and_only_by_its_user,
                all_but_one_are_revoked,
                sessions_are_listed_newest_first,
                what_strangers_send_is_cut,
                a_time_without_end_ends_far_away;
            token:
                a_token_reads_back_with_its_user,
                tokens_of_a_user_are_bounded_below_at_over_and_back,
                a_token_expires_at_its_time_and_not_before,
                a_token_expires_no_later_than_it_may,
                tokens_that_expired_make_room,
                a_disabled_user_has_no_token,
                a_use_is_written_once_a_minute,
                a_token_is_revoked_by_its_owner_or_by_anybody,
                names_and_what_is_shown_are_bounded,
                a_hash_is_taken_once;
            audit:
                every_change_is_told_once_and_by_whom,
                what_changes_nothing_is_not_told,
                lines_are_bounded_below_at_and_over_and_the_newest_stay,
                lines_are_listed_page_by_page_and_by_what_they_name,
                a_page_has_at_most_200,
                texts_are_cut_to_their_bounds;
            sweep:
                what_expired_goes_and_nothing_else,
                a_sweep_is_bounded_and_says_that_there_is_more,
                nothing_to_sweep_changes_nothing,
                usage_goes_back_to_nothing;
        }
    };
    (@ $make:path; $($group:ident: $($case:ident),+;)+) => {
        $(mod $group {
            $(#[test]
            fn $case() {
                crate::conformance::block_on(crate::conformance::accounts::$group::$case($make));
            })+
        })+
    };
}
