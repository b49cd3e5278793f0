# Serves it in one process: WEBrick is a package of Debian's, but not one of Redmine's bundle.

require_relative 'instance'

$LOAD_PATH.unshift(*Dir['/usr/share/rubygems-integration/all/gems/webrick-*/lib'])
require 'webrick'
require 'rack/handler/webrick'

Rack::Handler::WEBrick.run(Rails.application, Host: ARGV[0], Port: Integer(ARGV[1]), AccessLog: [])
