//! What every store must do, written against the trait: a list of cases and a model, for any number of stores.

#[macro_use]
pub(crate) mod accounts;
pub(crate) mod claim;
pub(crate) mod commit;
pub(crate) mod kill;
pub(crate) mod lease;
pub(crate) mod list;
mod model;
mod subject;
pub(crate) mod submit;
pub(crate) mod sweep;
pub(crate) mod workflow;

pub(crate) use model::traces_agree;
pub(crate) use subject::{LIMITS, Subject, TTL, block_on, end_of, event, new_run, step_forward, text};

/// Makes a test of each case, for the store that the function at this path makes.
macro_rules! conformance {
    ($make:path) => {
        conformance! { @ $make;
            workflow:
                a_published_text_is_current_and_can_be_read,
                publishing_twice_changes_nothing,
                publishing_anew_keeps_the_old_text,
                a_file_that_moved_is_told,
                a_retired_name_is_gone_but_its_text_still_runs,
                names_are_listed_in_order_with_their_newest_run,
                an_unknown_revision_is_none,
                a_text_is_refused_over_its_bound_and_taken_at_it;
            submit:
                an_accepted_run_reads_back_as_it_was_sent,
                an_unknown_revision_is_refused,
                an_id_is_taken_once,
                a_key_sent_again_brings_the_same_run,
                a_key_with_another_body_is_refused,
                a_key_is_forgotten_at_its_expiry_and_not_before,
                a_key_of_a_refused_run_is_free,
                a_key_has_at_most_255_bytes,
                open_runs_are_bounded_below_at_over_and_back,
                a_replay_needs_no_room,
                a_run_with_nothing_to_do_ends_at_once,
                a_run_without_attempts_and_outcome_is_refused,
                events_are_numbered_from_one,
                inputs_of_a_megabyte_read_back,
                one_failure_does_not_spoil_those_beside_it;
            claim:
                a_stranger_gets_nothing,
                due_first_then_accepted_first_then_by_step,
                no_more_than_slots_and_more_is_told,
                only_begun_runs_go_on_if_so_asked,
                what_waits_is_not_due_before_its_time,
                an_epoch_grows_with_each_claim,
                a_start_is_told_and_moves_no_version,
                a_run_starts_once,
                a_run_is_fresh_until_its_journal_has_an_event,
                a_worker_whose_lease_ran_out_gets_nothing,
                claims_at_once_never_share_an_attempt,
                several_of_one_run_are_told_without_holes;
            commit:
                a_result_its_successors_and_its_events_come_together,
                another_epoch_is_stale,
                another_worker_is_stale,
                a_lease_that_ran_out_is_stale,
                a_second_end_is_stale,
                one_stale_end_keeps_the_other_from_being_recorded,
                stale_results_are_counted,
                another_version_is_a_conflict_and_changes_nothing,
                an_unknown_run_is_a_conflict_and_its_results_are_stale,
                the_next_attempt_is_claimed_along,
                what_must_wait_or_has_no_worker_is_not_claimed_along,
                an_outcome_ends_the_run_and_what_was_in_flight,
                a_run_that_is_over_stays_so,
                events_are_bounded_except_for_the_last,
                an_attempt_cannot_end_twice_in_one_commit,
                an_attempt_that_is_over_cannot_be_ready_again,
                logs_stay_where_they_were_put,
                any_result_reads_back,
                a_cancel_is_remembered,
                a_journal_keeps_the_events_of_the_plan_in_order,
                a_retry_waits_for_its_delay;
            kill:
                what_waits_is_due_at_once_and_comes_first,
                what_is_held_is_told_at_the_next_renewal,
                kills_come_besides_slots_and_within_their_own_bound,
                a_claim_to_kill_starts_nothing,
                an_attempt_that_is_not_there_needs_no_killing,
                a_mark_outlives_the_worker,
                a_killed_attempt_ends_with_its_outcome,
                what_is_made_ready_and_killed_at_once_is_handed_out_to_be_killed;
            lease:
                joining_frees_what_the_dead_held,
                joining_again_frees_what_the_former_life_held,
                losses_wait_longer_each_time,
                leaving_frees_without_a_loss_and_keeps_the_place,
                leaving_twice_is_leaving_once,
                a_lease_runs_out_at_its_time_and_not_before,
                renewing_moves_the_end_of_a_lease,
                a_stranger_cannot_renew,
                reaping_stops_at_its_bound_and_finds_nothing_twice;
            list:
                runs_come_newest_first_page_by_page,
                filters_find_what_they_name_and_nothing_else,
                a_page_has_at_most_200,
                attempts_show_what_waits_runs_and_is_over,
                results_are_read_whole_up_to_a_bound_and_then_without_output,
                events_are_read_from_any_number,
                what_is_not_there_is_none_or_empty,
                usage_counts_what_there_is;
            sweep:
                age_takes_the_old_and_leaves_the_young,
                a_workflow_keeps_its_newest,
                bytes_take_the_oldest_first,
                the_newest_few_stay_in_any_case,
                an_open_run_is_never_taken,
                a_sweep_is_bounded_and_says_that_there_is_more,
                nothing_of_a_run_is_left,
                revisions_nobody_names_go,
                keys_go_at_their_expiry,
                nothing_to_sweep_changes_nothing;
        }
    };
    (@ $make:path; $($group:ident: $($case:ident),+;)+) => {
        $(mod $group {
            $(#[test]
            fn $case() {
                crate::conformance::block_on(crate::conformance::$group::$case($make));
            })+
        })+
    };
}
