# The tests of smalldbctl, which run it as a function and as a process.
small_db_glob(tools_test_sources ROOTS tests/tools SUFFIX ".cc")
small_db_test(tools_tests SOURCES ${tools_test_sources} TIMEOUT 240
  LIBRARIES small_db_sim small_db_tools nlohmann_json::nlohmann_json)
target_compile_definitions(tools_tests PRIVATE SMALL_DB_TOOL="$<TARGET_FILE:smalldbctl>")
add_dependencies(tools_tests smalldbctl)
