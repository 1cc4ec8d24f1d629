// Before anything is painted: the colours that the reader chose.
document.documentElement.dataset.theme = localStorage.getItem("phonobase-colours") ?? "system";
