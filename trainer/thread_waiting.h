// How libgomp's threads wait for each other, which libtorch computes with on the CPU.
//
// By default they spin for milliseconds. On a machine that does something else too (the agent's
// uploads, a neighbour) the thread that is waited for then has no core to run on: measured on two
// cores with a load of seven, SmolLM2-135M trained 25 tokens a second instead of 105. A short spin
// loses nothing when the cores are free.
#pragma once

namespace mayfly {

// libgomp reads its environment when it is loaded, before main: so the program is started anew,
// once, with GOMP_SPINCOUNT set (same process id, same arguments). Nothing happens when the user
// has said how to wait, by GOMP_SPINCOUNT or OMP_WAIT_POLICY. Before anything
// that would have to be undone.
void make_threads_wait_briefly(char** arguments);

}  // namespace mayfly
