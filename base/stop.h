/// SIGINT and SIGTERM as a flag that long loops look at.
#pragma once

namespace weft {

/// The first SIGINT or SIGTERM sets the flag; a second one ends the process at once.
void install_stop_handlers();

/// The signal that asked for an end, or 0.
int stop_signal();

/// Throws Interrupted when one did.
void throw_if_stopped();

}  // namespace weft
