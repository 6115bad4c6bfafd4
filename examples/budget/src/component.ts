// The component: a budget behind the world `decider`.

import "./pure";
import { budget } from "./budget";
import { decider } from "./decider";

export const decision = decider(budget);
