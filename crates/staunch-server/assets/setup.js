// The ticket of a set-up link stands in the fragment, which no browser sends anywhere. It goes into the form, and out of the
// address bar and the history.

const ticket = document.getElementById("ticket");
const fragment = window.location.hash.slice(1);

if (ticket && fragment) {
  ticket.value = fragment;
  window.history.replaceState(null, "", window.location.pathname);
  document.getElementById("name")?.focus();
}
