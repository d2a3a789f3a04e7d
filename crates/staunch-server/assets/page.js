// What every page does if it can.

// A browser may keep a page whole for its Back button, although it was told not to store it. Who is logged in may have changed.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});

// A form that is on its way is not sent again by a second click.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent === "yes") event.preventDefault();
  form.dataset.sent = "yes";
});
