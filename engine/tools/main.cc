// smalldbctl: looks into a store's data directory and repairs it, without a server.
#include "engine/tools/command.h"

int main(int argc, char* argv[]) { return small_db::tools::run_tool(argc, argv, stdout, stderr); }
