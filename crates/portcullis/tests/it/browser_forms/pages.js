// Walks through the admin pages in Chromium with the keyboard alone, at the width of a phone and of a desk, light and
// dark. Arguments: address of the pages, id of a server, name, password, and a folder for pictures or nothing.
// Prints what it saw as JSON; ends with 1 and the reason when something is not as a person needs it.
"use strict";

const { chromium } = require("playwright-core");

const [base, server, name, password, pictures] = process.argv.slice(2);
const seen = {};

function must(condition, what) {
  if (!condition) throw new Error(what);
}

// Presses Tab until the element that fits is in focus, as a person does who has no mouse.
async function tabTo(page, selector) {
  for (let presses = 0; presses < 80; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((wanted) => document.activeElement !== null && document.activeElement.matches(wanted), selector)) {
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      must(outline !== "none", `${selector}: the focus is not to be seen`);
      return;
    }
  }
  throw new Error(`${selector} is not reached with Tab on ${page.url()}`);
}

async function enter(page) {
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
}

// Nothing is wider than the screen, and every field has a name for those who do not see it.
async function readable(page, what) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  must(wide <= 0, `${what}: ${wide} pixels wider than the screen`);
  const nameless = await page.evaluate(() =>
    [...document.querySelectorAll("input:not([type=hidden]), select, button")].filter(
      (field) => !(field.labels && field.labels.length) && !field.textContent.trim() && !field.getAttribute("aria-label"),
    ).length,
  );
  must(nameless === 0, `${what}: ${nameless} fields without a name`);
}

async function picture(page, what) {
  if (!pictures) return;
  for (const [width, height] of [[1280, 900], [390, 844]]) {
    for (const colorScheme of ["light", "dark"]) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme });
      await readable(page, `${what} at ${width}`);
      await page.screenshot({ path: `${pictures}/${what}-${width}-${colorScheme}.png`, fullPage: true });
    }
  }
  await page.setViewportSize({ width: 1280, height: 900 });
}

async function signIn(page) {
  await page.goto(`${base}/servers/${server}`);
  must(page.url().includes("/login?next="), `no login is asked for: ${page.url()}`);
  await readable(page, "login");
  await picture(page, "login");
  await page.keyboard.type(name);
  await page.keyboard.press("Tab");
  await page.keyboard.type("a wrong password");
  await enter(page);
  seen.wrong_password = await page.locator("[role=alert]").innerText();
  await tabTo(page, "input[name=password]");
  await page.keyboard.type(password);
  await enter(page);
  must(page.url() === `${base}/servers/${server}`, `the login leads to ${page.url()}`);
}

async function exempt(page) {
  await tabTo(page, "input[name=until]");
  await page.keyboard.type("01/31/2020");
  await tabTo(page, "input[name=reason]");
  await page.keyboard.type("moves to <b>Exchange SE</b>");
  await enter(page);
  seen.past = await page.locator("[role=alert]").innerText();
  must((await page.inputValue("input[name=reason]")) === "moves to <b>Exchange SE</b>", "what was typed is lost");
  await picture(page, "exemption-refused");
  await page.goto(`${base}/servers/${server}`);
  await tabTo(page, "input[name=until]");
  await page.keyboard.type("01/31/2099");
  await tabTo(page, "input[name=reason]");
  await page.keyboard.type("moves to <b>Exchange SE</b>");
  await enter(page);
  seen.exempt = await page.locator(".lead").innerText();
  await picture(page, "server-exempt");
  await tabTo(page, "form[action$=unexempt] button");
  await enter(page);
  seen.unexempt = await page.locator(".lead").innerText();
  await picture(page, "server");
}

async function pause(page) {
  await tabTo(page, "a.skip");
  await tabTo(page, "a[href='/pauses']");
  await enter(page);
  await tabTo(page, "input[name=days]");
  await page.keyboard.type("7");
  await tabTo(page, "input[name=reason]");
  await page.keyboard.type("migration");
  await enter(page);
  seen.paused = await page.locator("tbody").innerText();
  seen.left = await page.locator("svg.year").first().getAttribute("aria-label");
  await picture(page, "pauses");
  await tabTo(page, "input[name=days]");
  await page.keyboard.type("90");
  await tabTo(page, "input[name=reason]");
  await page.keyboard.type("more");
  await enter(page);
  seen.over_budget = await page.locator("[role=alert]").innerText();
  await page.goto(`${base}/pauses`);
  await tabTo(page, "input[name=stop_reason]");
  await page.keyboard.type("an emergency");
  await enter(page);
  seen.stopped = await page.locator(".alert").innerText();
  await picture(page, "stopped");
  for (let left = 2; left > 0; left -= 1) {
    await tabTo(page, "form[action$='/end'] button");
    await enter(page);
  }
  seen.ended = await page.locator("tbody").innerText();
}

async function lists(page) {
  for (const path of ["/", "/servers", "/notices", "/trace", "/spool", "/tls", "/audit"]) {
    await page.goto(base + path);
    await readable(page, path);
    await picture(page, path === "/" ? "overview" : path.slice(1));
  }
  await page.goto(`${base}/servers`);
  await tabTo(page, `a[href='/servers/${server}']`);
  await enter(page);
  must(page.url() === `${base}/servers/${server}`, "the list does not lead to the server");
}

async function signOut(page) {
  await page.goto(base);
  await tabTo(page, "form[action='/logout'] button");
  await enter(page);
  await page.goto(`${base}/servers`);
  must(page.url().includes("/login"), "the session did not end");
}

async function main() {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage({ locale: "en-US", timezoneId: "UTC" });
    page.setDefaultTimeout(30_000);
    const faults = [];
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("console", (line) => line.type() === "error" && !line.text().includes("status of 4") && faults.push(line.text()));
    for (const step of [signIn, exempt, pause, lists, signOut]) await step(page);
    must(faults.length === 0, faults.join("; "));
  } finally {
    await browser.close();
  }
  console.log(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
