// Ending TCP connections of a server in this process from outside the HTTP library, which has no
// call for it: a broken connection is the failure that clients must survive, and a server that
// stops must not wait for idle ones.
#pragma once

namespace mayfly::localhub {

// Shuts down the accepted connection of 127.0.0.1:`local_port` whose other end is `remote_port`;
// with remote_port 0, all of them. The descriptors stay open for their owner to close.
void shut_down_connections(int local_port, int remote_port);
// The same, rudely: the other end gets a reset (RST) instead of an end.
void reset_connections(int local_port, int remote_port);

}  // namespace mayfly::localhub
