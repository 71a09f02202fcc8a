// Started by the function runs_node: enqueues one execution and prints its id.

import { defer } from "@defer/client";

const { id } = await defer(async function add() {})(1);
console.log(id);
