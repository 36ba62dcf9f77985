# smalldbctl, and its installation: `cmake --install build/release`.
include(GNUInstallDirs)
small_db_library(small_db_tools ROOTS engine/tools EXCLUDE "/main\\.cc$")
target_link_libraries(small_db_tools ${small_db_tools_SCOPE} small_db_api small_db_engine)
add_executable(smalldbctl "${PROJECT_SOURCE_DIR}/engine/tools/main.cc")
target_link_libraries(smalldbctl small_db_tools)
install(TARGETS smalldbctl RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(FILES "${PROJECT_SOURCE_DIR}/docs/man/smalldbctl.8"
  DESTINATION "${CMAKE_INSTALL_MANDIR}/man8")
