// Runs before the first paint: styles may then depend on scripts being there.
document.documentElement.classList.add("js");
