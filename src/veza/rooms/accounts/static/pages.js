// The pages that mails lead to: each has one form, and sends it when its button is pressed.
"use strict";

const token = new URLSearchParams(location.search).get("token") || "";
// The token works once; it need not stay in the address bar and the history.
history.replaceState(null, "", location.pathname);

const form = document.querySelector("form");
const status = document.querySelector("[role=status]");
const button = form.querySelector("button");

function post(path, more) {
  return fetch(`api/v1/auth/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...more, ...Object.fromEntries(new FormData(form)) }),
  });
}

const requests = {
  verify: () => fetch(`api/v1/auth/verify-email?token=${encodeURIComponent(token)}`, { method: "POST" }),
  reset: () => post("password/reset", { token }),
  forgot: () => post("password/forgot", {}),
};

function say(text, good) {
  status.textContent = text;
  status.className = good ? "good" : "bad";
}

async function send() {
  const response = await requests[form.dataset.action]();
  if (response.ok) {
    form.hidden = true;
    say(form.dataset.done, true);
    return;
  }
  const { error } = await response.json();
  const reasons = (error.details || []).map((detail) => detail.message);
  say(reasons.join(" ") || error.message, false);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  say("", true);
  try {
    await send();
  } catch {
    say("The server cannot be reached. Try again in a moment.", false);
  }
  button.disabled = false;
});

if (!token && form.dataset.action !== "forgot") {
  form.hidden = true;
  say("This link is not complete. Open it from the mail once more.", false);
}
