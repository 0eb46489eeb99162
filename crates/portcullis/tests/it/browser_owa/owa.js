// Uses OWA through the edge in Chromium as a person does: signs in, reads, attaches, downloads, signs out. Arguments: port of the
// edge, its name, user, password. Prints lines of JSON: each piece of a notification as it comes, then what it saw; ends with 1
// and the reason when something does not work.
"use strict";

const crypto = require("crypto");
const fs = require("fs");
const { chromium } = require("playwright-core");

const [port, name, user, password] = process.argv.slice(2);
const base = `https://${name}`;
const ATTACHMENT = crypto.randomBytes(5 * 1024 * 1024);
const seen = { answers: [], faults: [] };

function must(condition, what) {
  if (!condition) throw new Error(what);
}

async function signIn(page) {
  await page.goto(`${base}/`);
  must(page.url().startsWith(`${base}/owa/auth/logon.aspx?url=`), `the sign-in page is at ${page.url()}`);
  await page.fill("#username", user);
  await page.fill("#password", "a wrong one");
  await Promise.all([page.waitForNavigation(), page.click("#sign-in")]);
  seen.wrong_password = await page.innerText("#word");
  await page.click("#show");
  must((await page.getAttribute("#password", "type")) === "text", "a handler in an attribute does not work");
  await page.fill("#username", user);
  await page.fill("#password", password);
  await Promise.all([page.waitForNavigation(), page.press("#password", "Enter")]);
  must(page.url() === `${base}/owa/`, `the sign-in leads to ${page.url()}`);
}

async function read(page) {
  await page.waitForFunction(() => document.getElementById("items").textContent !== "");
  for (const id of ["user", "sum", "items"]) seen[id] = await page.innerText(`#${id}`);
  seen.protocol = await page.evaluate(() => performance.getEntriesByType("navigation")[0].nextHopProtocol);
  seen.protocols = await page.evaluate(() => performance.getEntriesByType("resource").map((entry) => entry.nextHopProtocol));
}

async function listen(page) {
  await page.exposeFunction("told", (piece) => console.log(JSON.stringify({ piece })));
  seen.listened = await page.evaluate(() => listen());
}

async function attach(page) {
  await page.setInputFiles("#file", { name: "a.bin", mimeType: "application/octet-stream", buffer: ATTACHMENT });
  await page.waitForFunction(() => document.getElementById("attachment").textContent !== "");
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#attachment")]);
  must(fs.readFileSync(await download.path()).equals(ATTACHMENT), "the attachment came back as another");
  seen.file = download.suggestedFilename();
}

// Exchange knows none, and the edge switches to no other protocol: the page hears that it is not to be had.
async function webSocket(page) {
  page.removeAllListeners("console");
  seen.web_socket = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const socket = new WebSocket(`wss://${location.host}/owa/socket`);
        socket.onopen = () => resolve("open");
        socket.onerror = () => resolve("error");
      }),
  );
}

async function signOut(page) {
  seen.cookies = await page.context().cookies();
  await Promise.all([page.waitForNavigation(), page.click("#sign-out")]);
  seen.signed_out = await page.innerText("#word");
  seen.cookies_left = (await page.context().cookies()).map((cookie) => cookie.name);
  await page.goto(`${base}/owa/`);
  must(page.url().includes("/owa/auth/logon.aspx"), "the session did not end");
}

async function main() {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", `--host-resolver-rules=MAP ${name} 127.0.0.1:${port}`],
  });
  try {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    const headers = [];
    page.on("pageerror", (error) => seen.faults.push(String(error)));
    page.on("console", (line) => ["error", "warning"].includes(line.type()) && seen.faults.push(line.text()));
    page.on("response", (response) =>
      headers.push(
        response.headersArray().then((fields) => seen.answers.push({ url: response.url(), status: response.status(), fields })),
      ),
    );
    await page.addInitScript(() =>
      document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective}`)),
    );
    for (const step of [signIn, read, listen, attach, webSocket, signOut]) await step(page);
    await Promise.all(headers);
  } finally {
    await browser.close();
  }
  console.log(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error.message, JSON.stringify(seen.faults));
  process.exit(1);
});
