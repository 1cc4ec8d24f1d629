// Who is here: signing in with a token, and out again.

import { doorbell, me, Refusal, signIn, signOut } from "./api.js";
import { find, show } from "./dom.js";
import { allIsWell, complain } from "./say.js";

/**
 * Lets in who may come in, and says who it is.
 * @param {(who: import("./shapes.js").Me) => void} entered
 */
export async function startSession(entered) {
  const form = find("sign-in", HTMLFormElement);
  const token = find("token", HTMLInputElement);
  doorbell.addEventListener("signed-out", () => ask());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await signIn(token.value.trim());
      token.value = "";
      allIsWell();
      await enter(entered);
      find("main", HTMLElement).focus();
    } catch (error) {
      complain(
        error instanceof Refusal && error.status === 401
          ? "This token is not known, or no longer valid."
          : error,
      );
    }
  });
  find("sign-out", HTMLButtonElement).addEventListener("click", async () => {
    try {
      await signOut();
      location.reload();
    } catch (error) {
      complain(error);
    }
  });
  try {
    await enter(entered);
  } catch (error) {
    if (!(error instanceof Refusal && error.status === 401)) complain(error);
  }
}

/** Shows the form, and nothing of the archive. */
function ask() {
  show(find("desk", HTMLElement), false);
  show(find("go-form", HTMLElement), false);
  show(find("sign-in", HTMLElement), true);
  find("token", HTMLInputElement).focus();
}

/** @param {(who: import("./shapes.js").Me) => void} entered */
async function enter(entered) {
  const who = await me();
  show(find("sign-in", HTMLElement), false);
  show(find("desk", HTMLElement), true);
  show(find("go-form", HTMLElement), true);
  find("who", HTMLElement).textContent = who.session ? who.name : "";
  show(find("sign-out", HTMLElement), who.session);
  entered(who);
}
