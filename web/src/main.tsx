import { render } from "preact";
import { Page } from "./page";
import { takeToken } from "./server";
import { App } from "./view/App";

takeToken();
const page = new Page();
render(<App page={page} />, document.getElementById("page")!);
page.start();
