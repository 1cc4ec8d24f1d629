// Who is here: signing in with a token, and out again.

import { doorbell, me, Refusal, signIn, signOut } from "./api.js";
import { find, show } from "./dom.js";
import { allIsWell, complain } from "./say.js";

/** How the archive calls whoever is not asked who they are. */
const AT_THIS_MACHINE = "local";

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
      leave();
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

/** Loads the page anew; whoever comes next need not know where this one was, nor what they wrote. */
function leave() {
  sessionStorage.clear();
  location.replace(location.pathname + location.search);
}

/** Shows the form, or who else asks, and nothing of the archive. */
function ask() {
  show(find("desk", HTMLElement), false);
  show(find("go-form", HTMLElement), false);
  show(find("sign-out", HTMLElement), false);
  find("who", HTMLElement).textContent = "";
  document.title = "phonobase";
  const way = find("sign-in-way", HTMLMetaElement);
  if (way.content === "host") {
    const link = find("sign-in-link", HTMLAnchorElement);
    if (way.dataset.at) {
      link.href = way.dataset.at;
      link.textContent = "Sign in";
    }
    show(find("not-signed-in", HTMLElement), true);
    return;
  }
  show(find("sign-in", HTMLElement), true);
  find("token", HTMLInputElement).focus();
}

/** Who was let in since the page was loaded. @type {string | null} */
let wasHere = null;

/** @param {(who: import("./shapes.js").Me) => void} entered */
async function enter(entered) {
  const who = await me();
  // What was asked for meanwhile is asked for again; of what one may know, another one sees nothing.
  if (wasHere === who.name) return location.reload();
  if (wasHere !== null) return leave();
  wasHere = who.name;
  show(find("sign-in", HTMLElement), false);
  show(find("desk", HTMLElement), true);
  show(find("go-form", HTMLElement), true);
  find("who", HTMLElement).textContent = who.name === AT_THIS_MACHINE ? "" : who.name;
  show(find("sign-out", HTMLElement), who.session);
  entered(who);
}
