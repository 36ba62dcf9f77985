# The GoogleTest binaries. Each test case is one ctest test, found when ctest starts; ctest's label
# of a test is the name of its binary.
find_package(GTest REQUIRED)
include(GoogleTest)
enable_testing()

# The tests' own code is compiled more often than it is run: half the time of -O2 -g.
set(small_db_test_options -O1 -g1)

# A precompiled header may only be shared by targets with equal flags; all test binaries have them.
if(SMALL_DB_PCH)
  file(WRITE "${PROJECT_BINARY_DIR}/gtest_pch.cc" "// Carries the precompiled header.\n")
  add_library(gtest_pch OBJECT "${PROJECT_BINARY_DIR}/gtest_pch.cc")
  target_link_libraries(gtest_pch GTest::gtest)
  target_compile_options(gtest_pch PRIVATE ${small_db_test_options})
  target_precompile_headers(gtest_pch PRIVATE <gtest/gtest.h>)
endif()

# How all that belongs to tests is compiled.
function(small_db_compile_as_test NAME)
  target_compile_options(${NAME} PRIVATE ${small_db_test_options})
  target_compile_definitions(${NAME} PRIVATE
    SMALL_DB_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    SMALL_DB_NGINX_BINARY="${SMALL_DB_NGINX_BINARY}"
    SMALL_DB_MODULE_FILE="${SMALL_DB_MODULE_FILE}")
  if(SMALL_DB_PCH)
    target_precompile_headers(${NAME} REUSE_FROM gtest_pch)
  endif()
endfunction()

# small_db_test(NAME SOURCES files LIBRARIES libraries TIMEOUT seconds): none without sources.
function(small_db_test NAME)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT ARG_SOURCES)
    return()
  endif()
  add_executable(${NAME} ${ARG_SOURCES})
  target_link_libraries(${NAME} ${ARG_LIBRARIES} GTest::gtest_main)
  small_db_compile_as_test(${NAME})
  gtest_discover_tests(${NAME} DISCOVERY_MODE PRE_TEST TEST_PREFIX "${NAME}."
    PROPERTIES LABELS ${NAME} TIMEOUT ${ARG_TIMEOUT})
endfunction()

set(unmarked "")
if(NOT SMALL_DB_KILL_POINTS)
  set(unmarked "kill_points_test\\.cc$")
endif()
small_db_glob(engine_test_sources ROOTS tests/engine tests/sim SUFFIX "_test.cc"
  EXCLUDE "${unmarked}")
if(SMALL_DB_THREADED_TESTS)
  foreach(source ${engine_test_sources})
    file(STRINGS "${source}" found REGEX "[Tt]hread" LIMIT_COUNT 1)
    if(NOT found)
      list(REMOVE_ITEM engine_test_sources "${source}")
    endif()
  endforeach()
endif()
small_db_test(engine_tests SOURCES ${engine_test_sources} TIMEOUT 120
  LIBRARIES small_db_sim small_db_engine)

small_db_glob(api_test_sources ROOTS tests/ngx_module/api SUFFIX "_test.cc")
small_db_test(api_tests SOURCES ${api_test_sources} TIMEOUT 120 LIBRARIES small_db_api)

# After nginx_tests, on what those saw.
small_db_glob(openapi_test_sources ROOTS tests/openapi SUFFIX "_test.cc")
small_db_test(openapi_tests SOURCES ${openapi_test_sources} TIMEOUT 120 LIBRARIES small_db_api)

small_db_glob(crash_test_sources ROOTS tests/crash SUFFIX ".cc" EXCLUDE "_main.cc$")
small_db_test(crash_tests SOURCES ${crash_test_sources} TIMEOUT 600
  LIBRARIES small_db_sim small_db_engine)
# The same runs without an end: `./dev soak`.
small_db_glob(crash_soak_sources ROOTS tests/crash SUFFIX ".cc" EXCLUDE "_test.cc$")
add_executable(crash_soak ${crash_soak_sources})
target_link_libraries(crash_soak small_db_sim small_db_engine)

# Several engines, their network and their disks in one thread: nothing for ThreadSanitizer.
if(NOT SMALL_DB_SANITIZE STREQUAL "thread")
  small_db_glob(cluster_test_sources ROOTS tests/cluster SUFFIX ".cc")
  small_db_test(cluster_tests SOURCES ${cluster_test_sources} TIMEOUT 600
    LIBRARIES small_db_sim small_db_api)
endif()

small_db_glob(damage_test_sources ROOTS tests/damage SUFFIX ".cc")
small_db_test(damage_tests SOURCES ${damage_test_sources} TIMEOUT 600
  LIBRARIES small_db_sim small_db_engine)

# A sanitizer in the client would say nothing about the server.
if(NOT SMALL_DB_SANITIZE)
small_db_glob(nginx_test_sources ROOTS tests/nginx SUFFIX ".cc")
if(nginx_test_sources)
  find_package(CURL REQUIRED)
endif()
# What the module has of libcurl, and nothing of nginx.
add_library(small_db_upstream STATIC EXCLUDE_FROM_ALL
  "${PROJECT_SOURCE_DIR}/ngx_module/http_upstream.cc")
target_link_libraries(small_db_upstream PUBLIC small_db_api CURL::libcurl)
small_db_test(nginx_tests SOURCES ${nginx_test_sources} TIMEOUT 120
  LIBRARIES small_db_upstream small_db_engine nlohmann_json::nlohmann_json CURL::libcurl)
# Stands before the C library's calls in an nginx that is tested.
foreach(preload disk_faults pauses)
  add_library(${preload} SHARED EXCLUDE_FROM_ALL "${PROJECT_SOURCE_DIR}/tests/preload/${preload}.cc")
  add_dependencies(nginx_tests ${preload})
endforeach()
target_compile_definitions(nginx_tests PRIVATE
  SMALL_DB_DISK_FAULTS_LIBRARY="$<TARGET_FILE:disk_faults>"
  SMALL_DB_PAUSES_LIBRARY="$<TARGET_FILE:pauses>")

# Chaos: the tests, and the program behind `./dev chaos`.
small_db_glob(chaos_sources ROOTS tests/chaos SUFFIX ".cc" EXCLUDE "/main\\.cc$|_test\\.cc$")
small_db_glob(chaos_test_sources ROOTS tests/chaos SUFFIX "_test.cc")
set(nginx_helpers ${nginx_test_sources})
list(FILTER nginx_helpers INCLUDE REGEX "/(http_client|nginx_server|processes|replica_nodes|reserved_port|seen_responses)\\.cc$")
add_library(chaos_parts OBJECT EXCLUDE_FROM_ALL ${chaos_sources} ${nginx_helpers})
target_link_libraries(chaos_parts PUBLIC
  small_db_engine nlohmann_json::nlohmann_json CURL::libcurl GTest::gtest)
small_db_compile_as_test(chaos_parts)
small_db_test(chaos_tests SOURCES ${chaos_test_sources} TIMEOUT 300 LIBRARIES chaos_parts)
add_executable(chaos tests/chaos/main.cc)
target_link_libraries(chaos chaos_parts)
endif()
