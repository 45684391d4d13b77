-- SPDX-License-Identifier: MIT
import Control.Concurrent
import Control.Exception (evaluate)
import Control.Monad
import qualified Data.ByteString as B
import qualified Data.ByteString.Char8 as C
import Data.Time.Clock.POSIX (posixSecondsToUTCTime)
import Data.Time.Format (defaultTimeLocale, formatTime)
import Data.Time.LocalTime (getTimeZone, utcToLocalTime)
import Network.Socket
import Network.Socket.ByteString (recv, sendAll)
import System.Directory
import System.Environment
import System.Exit
import System.Posix.Unistd (getSystemID, nodeName)
import System.Posix.User
import System.Process

threads :: IO String
threads = do
  sums <- replicateM 4 $ do
    sum' <- newEmptyMVar
    _ <- forkIO (putMVar sum' $! sum [1 .. 1000 :: Int])
    return sum'
  show . sum <$> mapM takeMVar sums

children :: IO String
children = do
  (status, said, _) <- readProcessWithExitCode "sh" ["-c", "echo child; exit 7"] ""
  return $ unwords [concat (lines said), case status of ExitSuccess -> "0"; ExitFailure n -> show n]

files :: IO String
files = do
  createDirectory "/tmp/d"
  writeFile "/tmp/d/a" (unlines (map show [1 .. 1000 :: Int]))
  renameFile "/tmp/d/a" "/tmp/d/b"
  read' <- C.readFile "/tmp/d/b"
  found <- listDirectory "/tmp/d"
  removeDirectoryRecursive "/tmp/d"
  return $ unwords (show (length (C.lines read')) : found)

resolve :: String -> Maybe String -> IO SockAddr
resolve host port = do
  let want = defaultHints {addrFamily = AF_INET, addrSocketType = Stream}
  addrAddress . head <$> getAddrInfo (Just want) (Just host) port

server :: IO String
server = do
  listener <- socket AF_INET Stream defaultProtocol
  bind listener (SockAddrInet 0 (tupleToHostAddress (127, 0, 0, 1)))
  listen listener 1
  port <- socketPort listener
  client <- socket AF_INET Stream defaultProtocol
  resolve "localhost" (Just (show port)) >>= connect client
  (peer, _) <- accept listener
  sendAll client (C.pack "ping")
  _ <- recv peer 4
  sendAll peer (C.pack "pong")
  C.unpack <$> recv client 4

names :: IO String
names = do
  host <- nodeName <$> getSystemID
  address <- resolve host Nothing
  me <- getRealUserID >>= getUserEntryForID
  home <- getHomeDirectory
  return $ unwords [host, takeWhile (/= ':') (show address), userName me, home]

zone :: IO String
zone = do
  let instant = posixSecondsToUTCTime 1700000000
  here <- getTimeZone instant
  return $ formatTime defaultTimeLocale "%F %T" (utcToLocalTime here instant)

text :: String -> IO String
text argument = do
  line <- getLine
  return $ unwords [show (length argument), show (length line), line]

memory :: Int -> IO String
memory blocks = do
  held <- forM [1 .. blocks] $ \i -> evaluate (B.replicate 1048576 (fromIntegral (signum i)))
  return $ show (sum (map (fromIntegral . B.head) held) :: Int)

main :: IO ()
main = do
  args <- getArgs
  said <- case args of
    ["threads"] -> threads
    ["children"] -> children
    ["files"] -> files
    ["server"] -> server
    ["names"] -> names
    ["zone"] -> zone
    ["text", argument] -> text argument
    ["memory", blocks] -> memory (read blocks)
    _ -> return "hello"
  putStrLn said
