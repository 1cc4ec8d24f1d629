// Before anything is painted: the colours that the reader chose, or those of the system.
{
  const chosen = localStorage.getItem("phonobase-colours") ?? "system";
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.dataset.theme = chosen === "system" ? system : chosen;
}
